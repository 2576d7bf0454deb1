#!/usr/bin/env python3
"""Runs the direct producer of the documentation, direct_producers/producer.py, with the packages that it imports.

The packages are fetched once from PyPI, checked against direct_producers/requirements.txt and kept in the cache folder.
Arguments, standard input and exit status are the program's own.
"""

import os
import pathlib
import subprocess
import sys

from harness import cache
from harness.cache import EngineError
from harness.node import die_with_parent

PRODUCERS = pathlib.Path(__file__).resolve().parent.parent / "direct_producers"


def packages():
    """The folder of the packages, fetched and checked where it is not there yet."""
    requirements = PRODUCERS / "requirements.txt"

    def fetch(folder):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir",
               "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", folder, "--requirement", requirements]
        result = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)
        if "No module named pip" in result.stdout:
            raise EngineError("pip is missing: install it, on Debian with `apt-get install python3-pip` (or `make deps-test`)")
        if result.returncode != 0:
            raise EngineError(f"what the direct producer imports could not be fetched from PyPI:\n{result.stdout[-2000:]}")

    # Compiled packages are for one version of Python.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache.fetched(f"direct-producer-python{version}", requirements.read_text(), fetch)


def main():
    try:
        folder = packages()
    except EngineError as error:
        sys.exit(str(error))
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(sys.executable, [sys.executable, str(PRODUCERS / "producer.py"), *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
