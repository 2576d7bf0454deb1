"""Finds clickhouse-local in the shared object of chdb-core.

The object holds the whole engine, clickhouse-local included, but no symbol leads there. What constructs a `LocalServer`
must load the address of its virtual table, and that is found from the name in its run-time type information. This leans on
the object's layout, which is why the package is pinned by its hash.
"""

import ctypes
import os
import re


def mapped_segments(library):
    """(start, end, permissions) of each mapping of the library in this process."""
    segments = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            if line.rstrip().endswith("/" + os.path.basename(library)):
                addresses, permissions = line.split()[:2]
                start, end = (int(address, 16) for address in addresses.split("-"))
                segments.append((start, end, permissions))
    return segments


def base(segments):
    """Where the library begins in memory."""
    return min(start for start, _, _ in segments)


def find(segments):
    """Offset of the function `(argc, argv)` that makes a LocalServer and runs it."""
    type_name = _find(segments, b"N2DB11LocalServerE\0", alignment=1)[0]
    type_info = _find(segments, type_name.to_bytes(8, "little"), alignment=8)[0] - 8
    virtual_table = min(_find(segments, type_info.to_bytes(8, "little"), alignment=8)) - 8
    load_address = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")  # lea register, [rip + displacement]
    for start, end, permissions in segments:
        if "x" not in permissions:
            continue
        code = ctypes.string_at(start, end - start)
        for match in load_address.finditer(code):
            after = match.start() + 7
            displacement = int.from_bytes(code[after - 4:after], "little", signed=True)
            if start + after + displacement == virtual_table:
                padding_before_function = code.rfind(b"\xcc\xcc", 0, match.start())
                return start + padding_before_function + 2 - base(segments)
    raise LookupError("clickhouse-local was not found in chdb-core")


def _find(segments, pattern, alignment):
    """All addresses of a pattern in the library's data."""
    found = []
    for start, end, permissions in segments:
        if permissions[0] != "r" or permissions[2] == "x":
            continue
        data = ctypes.string_at(start, end - start)
        at = data.find(pattern)
        while at >= 0:
            if at % alignment == 0:
                found.append(start + at)
            at = data.find(pattern, at + 1)
    return found
