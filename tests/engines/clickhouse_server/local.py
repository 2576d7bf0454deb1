"""The process of one ClickHouse node: clickhouse-local, listening, and busy with a query that never ends.

    local.py CONFIG.xml FOLDER      runs the engine on the data in FOLDER
    local.py --find                 prints the offset of its entry, which takes seconds

The offset is read from the file `entry` beside the package.
"""

import ctypes
import pathlib
import sys

import chdb._chdb as engine
import entry

LISTEN = (
    "SYSTEM START LISTEN QUERIES ALL; "
    "SELECT sleepEachRow(3) FROM system.numbers "
    "SETTINGS max_block_size = 1, max_execution_time = 0, max_memory_usage = 0, max_threads = 1, log_queries = 0 FORMAT Null"
)


def run(config, folder):
    segments = entry.mapped_segments(engine.__file__)
    package = pathlib.Path(engine.__file__).resolve().parent.parent
    offset = int((package / "entry").read_text())
    arguments = [argument.encode() for argument in
                 ["clickhouse-local", "--config-file", config, "--path", folder, "--query", LISTEN]]
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p))
    return function(entry.base(segments) + offset)(len(arguments), argv)


if __name__ == "__main__":
    if sys.argv[1:] == ["--find"]:
        print(entry.find(entry.mapped_segments(engine.__file__)))
    else:
        sys.exit(run(*sys.argv[1:]))
