#!/usr/bin/env python3
"""Runs a real Apache Kafka 4.2.2 (KRaft, one node or more) without a container. Needs Java 17 or later and Maven.

The jars come once from Maven Central (kafka_server/pom.xml), are checked against kafka_server/jars.sha256 and kept in
the cache folder. Every node is broker and controller and listens three times on 127.0.0.1: for clients, for the other
nodes, and as a controller. With --user, clients must log in (SCRAM-SHA-256 or SCRAM-SHA-512): the first user named may do
everything, all others what ACLs grant them. With --tls, the clients' listener is encrypted: its certificate is of an authority
made for this cluster, and clients may show a certificate of it. The nodes' own listener asks for no login and may do everything.

harness/session.py says how the caller speaks with this program.
"""

import base64
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import uuid

from harness import authority, cache, ports, session
from harness.cache import EngineError
from harness.node import Node, die_with_parent

SERVER = pathlib.Path(__file__).resolve().parent / "kafka_server"
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
JAVA = 17
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")


def java():
    """The path of a Java that is new enough."""
    path = cache.require("java", "openjdk-17-jre-headless")
    version = subprocess.run([path, "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', version)
    if found is None or int(found[1]) < JAVA:
        raise EngineError(f"Kafka needs Java {JAVA} or later: install it, on Debian with `apt-get install openjdk-17-jre-headless`")
    return path


def jars():
    """The folder of the jars, fetched and checked where it is not there yet."""
    lock = (SERVER / "jars.sha256").read_text()

    def fetch(folder):
        maven = cache.require("mvn", "maven")
        print("fetching Apache Kafka from Maven Central (48 MB, once)", file=sys.stderr)
        result = subprocess.run([maven, "-q", "-B", "-f", SERVER / "pom.xml", COPY_DEPENDENCIES, "-DincludeScope=runtime",
                                 f"-DoutputDirectory={folder}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, preexec_fn=die_with_parent)
        if result.returncode != 0:
            raise EngineError(f"Kafka could not be fetched from Maven Central:\n{result.stdout[-2000:]}")
        expected = {name: digest for digest, name in (line.split() for line in lock.splitlines())}
        actual = {jar.name: cache.sha256(jar) for jar in folder.iterdir()}
        wrong = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
        if wrong:
            raise EngineError(f"these jars are not those of {SERVER / 'jars.sha256'}: {', '.join(wrong)}")

    return cache.fetched("kafka", lock, fetch)


def properties(options, number, listeners, data, certificates):
    """The text of one node's server.properties; `listeners` holds the ports (clients, nodes, controller) of each node."""
    protocol = ("SASL_" if options.user else "") + ("SSL" if certificates else "PLAINTEXT")
    replication = min(3, options.nodes)
    clients, nodes, controller = listeners[number - 1]
    settings = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p[2]}" for n, p in enumerate(listeners, 1)),
        "listeners": f"CLIENT://127.0.0.1:{clients},NODES://127.0.0.1:{nodes},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"CLIENT://127.0.0.1:{clients},NODES://127.0.0.1:{nodes}",
        "listener.security.protocol.map": f"CLIENT:{protocol},NODES:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "NODES",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "num.partitions": 4,
        "default.replication.factor": replication,
        "min.insync.replicas": max(1, replication - 1),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": replication,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": max(1, replication - 1),
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replication,
        "share.coordinator.state.topic.min.isr": max(1, replication - 1),
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "log.segment.bytes": 128 << 20,
    }
    if options.user:
        settings |= {
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{options.user[0].split(':')[0]}",  # ANONYMOUS: the nodes themselves
        } | {
            f"listener.name.client.{mechanism.lower()}.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            for mechanism in MECHANISMS
        }
    if certificates:
        settings |= {
            "listener.name.client.ssl.keystore.type": "PEM",
            "listener.name.client.ssl.keystore.location": certificates.server,
            "listener.name.client.ssl.truststore.type": "PEM",
            "listener.name.client.ssl.truststore.location": certificates.authority,
            "listener.name.client.ssl.client.auth": "requested",
        }
    settings |= dict(setting.split("=", 1) for setting in options.property)
    return "".join(f"{key}={value}\n" for key, value in settings.items())


class Cluster:
    """How the nodes of one cluster are started."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.java = java()
        self.jars = jars()
        self.certificates = authority.Certificates.make(folder / "certificates") if options.tls else None

    def command(self, *arguments):
        """What runs a class of Kafka: its name comes first."""
        quick = ["-XX:TieredStopAtLevel=1"] if self.options.quick else []
        return [self.java, "-Xms64m", f"-Xmx{self.options.heap}m", "-XX:+UseSerialGC", "-XX:-UsePerfData", *quick,
                f"-Dlog4j2.configurationFile={SERVER / 'log4j2.properties'}", "-cp", f"{self.jars}/*", *arguments]

    def nodes(self, listeners):
        """One node for each group of ports, its data folder formatted."""
        nodes = []
        for number, own in enumerate(listeners, 1):
            folder = self.folder / str(number)
            folder.mkdir(exist_ok=True)
            settings = folder / "server.properties"
            settings.write_text(properties(self.options, number, listeners, folder / "data", self.certificates))
            command = self.command("kafka.Kafka", str(settings))
            nodes.append(Node(number, folder, command, lambda port=own[0]: answers(port, self.certificates)))
        if not (self.folder / "1" / "data" / "meta.properties").exists():
            self.format()
        return nodes

    def format(self):
        """Makes the data folders: the first by Kafka's own tool, the others alike but for their ids."""
        users = []
        for user in self.options.user:
            name, _, password = user.partition(":")
            for mechanism in MECHANISMS:
                users += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        tool = self.command("kafka.tools.StorageTool", "format", "-t", random_id(), "-c",
                            str(self.folder / "1" / "server.properties"), *users)
        result = subprocess.run(tool, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)
        if result.returncode != 0:
            raise EngineError(f"Kafka's data folder could not be made:\n{result.stdout[-2000:]}")
        first = self.folder / "1" / "data"
        for number in range(2, self.options.nodes + 1):
            data = self.folder / str(number) / "data"
            shutil.copytree(first, data)
            meta = (first / "meta.properties").read_text()
            meta = re.sub(r"(?m)^node\.id=.*$", f"node.id={number}", meta)
            meta = re.sub(r"(?m)^directory\.id=.*$", f"directory.id={random_id()}", meta)
            (data / "meta.properties").write_text(meta)


def random_id():
    """An id as Kafka writes them: 16 random bytes, in base64url."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def answers(port, certificates):
    """Whether a broker answers an ApiVersions request (version 0), which it does once the cluster has let it in."""
    request = struct.pack(">hhih", 18, 0, 7, -1)
    try:
        with connect(port, certificates) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(8)
    except OSError:
        return False
    return len(answer) == 8 and answer[4:] == struct.pack(">i", 7)


def connect(port, certificates):
    """A connection to a port of this machine, encrypted where there are certificates."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=1)
    if certificates is None:
        return connection
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificates.client, certificates.client_key)
    try:
        return context.wrap_socket(connection, server_hostname="127.0.0.1")
    except OSError:
        connection.close()
        raise


def choose_ports(options):
    if options.port is None:
        chosen = ports.reserve(3 * options.nodes)
        return [tuple(chosen[3 * n:3 * n + 3]) for n in range(options.nodes)]
    return [(options.port + n, options.port + 10 + n, options.port + 20 + n) for n in range(options.nodes)]


def main():
    parser = session.arguments(__doc__)
    parser.add_argument("--port", type=int, help="clients' port of the first node, the others' follow; free ones where not given")
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    parser.add_argument("--tls", action="store_true", help="encrypt the clients' listener")
    parser.add_argument("--property", action="append", default=[], metavar="KEY=VALUE", help="a broker's setting")
    parser.add_argument("--heap", type=int, default=256, metavar="MIB", help="Java's heap of each node")
    parser.add_argument("--quick", action="store_true", help="compile at the first tier alone: starts sooner, runs slower")
    parser.add_argument("--tools-only", action="store_true", help="start no node: say what runs Kafka's command-line classes")
    options = parser.parse_args()

    def engine(running):
        cluster = Cluster(options, running.folder)
        if options.tools_only:
            running.serve({"tool": cluster.command()}, " ".join(map(str, cluster.command())))
            return
        for attempt in range(3):
            listeners = choose_ports(options)
            try:
                running.start(cluster.nodes(listeners))
                break
            except EngineError as error:
                running.abandon()
                if options.port is not None or attempt == 2 or "Address already in use" not in str(error):
                    raise
        brokers = [f"127.0.0.1:{clients}" for clients, _, _ in listeners]
        ready = {
            "brokers": brokers,
            "internal": [f"127.0.0.1:{nodes}" for _, nodes, _ in listeners],
            "tool": cluster.command(),
            "certificates": cluster.certificates.files() if cluster.certificates else [],
        }
        running.serve(ready, f"Kafka answers at {','.join(brokers)}; data and logs are in {running.folder}; Ctrl-C stops it")

    session.run(options, engine)


if __name__ == "__main__":
    main()
