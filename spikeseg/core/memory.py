"""How much memory this process may still take; imports nothing but the standard library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

GIB = 2**30
_KIB = 1024


def available() -> int | None:
    """Bytes that this process can still take: the least of what the machine, its control groups and its limits leave; None
    where nothing says so."""
    left = [size for size in (_machine(), *_groups(), *_limits()) if size is not None]
    return max(0, min(left)) if left else None


def _machine() -> int | None:
    """Of the machine: memory that is free or can be freed, and swap."""
    fields = _fields(Path("/proc/meminfo"))
    if "MemAvailable" in fields:
        return fields["MemAvailable"] + fields.get("SwapFree", 0)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # systems that do not tell
        return None


def _groups() -> Iterator[int]:
    """Of the control groups that the process lies in, versions 1 and 2: limit less use; files that can be dropped are no use."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, kinds, place = [*line.split(":", 2), "", ""][:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        root = Path("/sys/fs/cgroup/memory" if kinds else "/sys/fs/cgroup")
        limit, use = ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
        folder = root / place.lstrip("/")
        for group in (folder, *folder.parents):
            if root in (group, *group.parents) and (most := _number(group / limit)) is not None:
                files = _fields(group / "memory.stat").get("inactive_file", 0)
                yield most - max(0, (_number(group / use) or 0) - files)


def _limits() -> Iterator[int]:
    """Of the process's own limits (ulimit -v, ulimit -d)."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    fields = _fields(Path("/proc/self/status"))
    for number, used in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft = resource.getrlimit(number)[0]
        if soft != resource.RLIM_INFINITY:
            yield soft - fields.get(used, 0)


def _fields(path: Path) -> dict[str, int]:
    """Numbers by name, in bytes, of a file of lines such as "MemAvailable: 23 kB" or "inactive_file 23"."""
    fields = {}
    for line in _text(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[1].isdigit():
            fields[words[0]] = int(words[1]) * (_KIB if words[2:] == ["kB"] else 1)
    return fields


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
