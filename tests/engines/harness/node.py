"""One process of an engine."""

import ctypes
import os
import signal
import subprocess
import time

from .cache import EngineError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """In a child before its program starts: SIGKILL when the process that started it is gone, however that ended."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Node:
    """A process with a log, which is started, killed and started again on the same folder."""

    def __init__(self, number, folder, command, answers, environment=None):
        """`command` starts it; `answers()` says whether it does its work yet; its output goes to `folder/log`."""
        self.number = number
        self.folder = folder
        self.log = folder / "log"
        self._command = command
        self._answers = answers
        self._environment = {**os.environ, **(environment or {})}
        self._process = None

    @property
    def pid(self):
        return self._process.pid if self._process else None

    def start(self):
        """Starts the process and does not wait."""
        if self._process is not None:
            raise EngineError(f"node {self.number} runs already")
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self._environment, cwd=self.folder, preexec_fn=die_with_parent)

    def wait_until_it_answers(self, patience, check):
        """Waits so many seconds at most; `check()` may end the wait by an exception."""
        deadline = time.monotonic() + patience
        while not self._answers():
            check()
            self.check_runs()
            if time.monotonic() > deadline:
                raise EngineError(f"node {self.number} did not answer in {patience} s:\n{self.last_words()}")
            time.sleep(0.02)
        self.check_runs()  # else something else answered at its address

    def check_runs(self):
        """Raises what it said last where it has ended by itself."""
        if self._running().poll() is not None:
            raise EngineError(f"node {self.number} ended with {self._process.returncode}:\n{self.last_words()}")

    def last_words(self):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def send(self, number):
        """Sends a signal to the process."""
        self._running().send_signal(number)

    def kill(self):
        """Ends it as a crash would, also when it is paused."""
        self._running().kill()
        self._process.wait()
        self._process = None

    def stop(self, patience=30):
        """Asks it to end, and kills it where it does not."""
        self._running().terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def is_running(self):
        return self._process is not None

    def _running(self):
        if self._process is None:
            raise EngineError(f"node {self.number} does not run")
        return self._process
