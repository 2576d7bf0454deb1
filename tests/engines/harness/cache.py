"""The folder where fetched engines are kept: each is fetched once, checked, and then never changed."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import tempfile


class EngineError(Exception):
    """An engine cannot be had or does not start; the text says what to do."""


def root():
    """`$XDG_CACHE_HOME/luminate/engines`, made where it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "luminate" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256(path):
    """The SHA-256 of a file, as hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def require(command, package):
    """The path of a command; says which Debian package has it where it is missing."""
    path = shutil.which(command)
    if path is None:
        raise EngineError(f"{command} is missing: install it, on Debian with `apt-get install {package}` or `make deps-test`")
    return path


def fetched(name, pins, fetch):
    """The folder `name-<hash of pins>`, filled by `fetch(folder)` where it is not there yet.

    `pins` is the text that says what must be fetched and with which hashes: other pins, another folder. Processes that
    ask at the same time wait for the first. A folder appears only when it is whole, because it is renamed at the end.
    """
    folder = root() / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    with _locked(root() / f"{name}.lock"):
        if folder.is_dir():
            return folder
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-unfinished-", dir=root()))
        try:
            fetch(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
