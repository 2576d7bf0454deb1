"""Ports on 127.0.0.1 for engines that must know them before they start."""

import random
import socket

from .cache import EngineError

_reservations = []


def reserve(count):
    """So many free ports, which no other engine on this machine gets while this process lives.

    They lie below the range from which the kernel gives ports to connections and to whoever binds port 0, so that a port
    is still free when a killed node comes back to it.
    """
    ports = []
    for _ in range(10_000):
        if len(ports) == count:
            return ports
        port = random.randrange(10_000, _first_ephemeral())
        if _is_free(port) and _reserve(port):
            ports.append(port)
    raise EngineError(f"no {count} free ports were found on 127.0.0.1")


def _first_ephemeral():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    return first if first > 12_000 else 60_000


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reserve(port):
    """Takes the port among engines: a name in the abstract namespace is one process's, until it ends."""
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0luminate-test-engine-port-{port}")
    except OSError:
        reservation.close()
        return False
    _reservations.append(reservation)
    return True
