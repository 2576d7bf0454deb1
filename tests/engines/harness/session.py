"""The conversation with whoever started an engine, and the engine's end.

One JSON line on the standard output says that the engine is ready, or what is wrong: `{"error": "..."}`. Then commands
are read from the standard input, a line each, and each is answered by a line once it is done:

    kill N      ends node N (numbered from 1) by SIGKILL
    stop N      ends it by SIGTERM
    start N     starts it again on the same ports and folder, and waits until it answers
    pause N     SIGSTOP: it keeps its connections and answers nothing
    resume N    SIGCONT

The engine ends when the standard input does, which is what happens when a test ends or is killed.
"""

import argparse
import contextlib
import json
import pathlib
import select
import shutil
import signal
import sys
import tempfile
import time

from .cache import EngineError

PATIENCE = 120  # seconds until a node must answer, on a loaded machine


class Ended(Exception):
    """Whoever started the engine is gone."""


class Session:
    """The folder and the nodes of one engine, from start to end."""

    def __init__(self, path, foreground):
        self.foreground = foreground
        self._temporary = path is None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="luminate-engine-")) if path is None else path.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._nodes = []
        self._ready = {}

    def start(self, nodes):
        """Starts all nodes and waits until each answers."""
        self._nodes = nodes
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_until_it_answers(PATIENCE, self.check)

    def abandon(self):
        """Kills what was started: for another attempt."""
        for node in self._nodes:
            if node.is_running():
                node.kill()
        self._nodes = []

    def check(self):
        """Raises `Ended` where the standard input has ended."""
        if self.foreground:
            return
        poll = select.poll()
        poll.register(sys.stdin.fileno(), 0)
        if any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0)):
            raise Ended

    def serve(self, ready, instructions):
        """Says that the engine is ready and obeys commands until the end."""
        if self.foreground:
            print(instructions, flush=True)
            while True:
                time.sleep(0.5)
                for node in self._nodes:
                    node.check_runs()
        self._ready = ready
        self._say(self._state())
        for line in sys.stdin:
            try:
                self._obey(*line.split())
                self._say(self._state())
            except (EngineError, TypeError, ValueError) as error:
                self._say({"error": f"{line.strip()}: {error}"})

    def _state(self):
        return {**self._ready, "folder": str(self.folder), "pids": [node.pid for node in self._nodes], "logs": [str(node.log) for node in self._nodes]}

    def _obey(self, verb, number):
        node = self._nodes[int(number) - 1]
        match verb:
            case "kill":
                node.kill()
            case "stop":
                node.stop()
            case "start":
                node.start()
                node.wait_until_it_answers(PATIENCE, self.check)
            case "pause":
                node.send(signal.SIGSTOP)
            case "resume":
                node.send(signal.SIGCONT)
            case _:
                raise ValueError("unknown command")

    @staticmethod
    def _say(answer):
        print(json.dumps(answer), flush=True)

    def close(self):
        """Ends the nodes, gently where a person watches, and removes a temporary folder."""
        for node in self._nodes:
            if node.is_running():
                with contextlib.suppress(EngineError):
                    node.stop() if self.foreground else node.kill()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def arguments(description):
    """The arguments that all engines take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=pathlib.Path, help="folder for data and logs, kept; a temporary one where not given")
    parser.add_argument("--nodes", type=int, default=1, help="how many processes")
    parser.add_argument("--foreground", action="store_true", help="speak to a person, and end on SIGINT or SIGTERM alone")
    return parser


def run(options, engine):
    """Calls `engine(session)`, which starts nodes and serves; ends everything when that ends, by whatever cause."""
    def end(*_):
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    session = Session(options.path, options.foreground)
    try:
        engine(session)
    except Ended:
        pass
    except EngineError as error:
        if options.foreground:
            sys.exit(str(error))
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(1)
    finally:
        session.close()
