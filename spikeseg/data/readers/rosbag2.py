"""Bags of ROS 2 in SQLite (`.db3`), with or without the metadata.yaml that a recorder writes beside them.

Tables as rosbag2_storage_sqlite3 makes them (https://github.com/ros2/rosbag2): topics (id, name, type, serialization_format) and
messages (id, topic_id, timestamp, data).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import yaml

from spikeseg.errors import InputError

from .bags import MAX_MESSAGE_BYTES, Bag, Kind, stream_bag
from .binary import cut, opened
from .raw import Stream
from .reader import Reader
from .recording_path import BAG_METADATA

SIGNATURE = b"SQLite format 3\0"
METADATA_ENTRY = "rosbag2_bagfile_information"
"""The one entry of metadata.yaml."""
MAX_METADATA_BYTES = 2**24
COLUMNS = {"topics": {"id", "name", "type", "serialization_format"}, "messages": {"id", "topic_id", "data"}}
REMEDY = "get the file again, or rescue it by `sqlite3 FILE .recover`"


def stream_rosbag2(path: str | Path, member: str = "") -> Stream:
    """Events of a topic; see `bags.stream_bag`. A bag split into several files is several recordings.

    Raises InputError: truncated, damaged, no bag, other messages than metadata.yaml tells of, or as `bags.stream_bag` does.
    """
    path = Path(path)
    _complete(path)
    with _database(path) as base, _damage(path):
        found = base.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise InputError(f"{path}: damaged database ({' '.join(str(found[0]).split())}); {REMEDY}")
        told = _told(path)
        (held,) = base.execute("SELECT count(*) FROM messages").fetchone()
    if told is not None and told != held:
        raise InputError(
            f"{path}: holds {held} messages, {BAG_METADATA} beside it tells of {told}; get the file again, or `ros2 bag reindex`"
        )
    return stream_bag(path, _opened, member)


def _complete(path: Path) -> None:
    """Raise InputError unless all pages are there: SQLite takes the missing end of the last one for zeros.

    Format: https://www.sqlite.org/fileformat.html#the_database_header
    """
    with opened(path) as file:
        end = file.seek(0, 2)
        file.seek(0)
        head = file.read(100)
    if len(head) < 100 or not head.startswith(SIGNATURE):
        raise cut(path, end, "in the head of a database")
    size = int.from_bytes(head[16:18], "big")
    size = 2**16 if size == 1 else size
    pages = int.from_bytes(head[28:32], "big") if head[24:28] == head[92:96] else 0  # else the number is an old one
    if size < 512 or end % size or end < pages * size:
        raise cut(path, end, f"in the middle of its pages of {size} bytes")


@contextmanager
def _opened(path: Path) -> Iterator[Bag]:
    with _database(path) as base:
        with _damage(path):
            rows = base.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
        topics = {number: str(name) for number, name, _, _ in rows}
        kinds = {str(name): Kind(str(kind) if form == "cdr" else f"{form} {kind}", True) for _, name, kind, form in rows}
        yield Bag(kinds, lambda: _messages(path, base, topics))


def _messages(path: Path, base: sqlite3.Connection, topics: dict[int, str]) -> Iterator[tuple[str, bytes]]:
    with _damage(path):
        rows = base.execute("SELECT topic_id, data FROM messages ORDER BY id")
    while True:
        with _damage(path):
            row = rows.fetchone()
        if row is None:
            return
        topic, data = row
        if topic not in topics or not isinstance(data, bytes):
            raise InputError(f"{path}: damaged: a message of topic {topic!r} holds {type(data).__name__}; {REMEDY}")
        yield topics[topic], data


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, open for reading alone; what stands in its schema is never run."""
    unfinished = any(Path(f"{path}{end}").exists() for end in ("-wal", "-journal"))  # then SQLite has to look into those
    uri = f"{path.absolute().as_uri()}?{'mode=ro' if unfinished else 'immutable=1'}"
    with _damage(path), closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as base:
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA cell_size_check = ON")
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_MESSAGE_BYTES)
        for table, wanted in COLUMNS.items():
            kind = base.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            names = {row[1] for row in base.execute(f"PRAGMA table_info({table})")}
            if kind != ("table",) or not wanted <= names:
                lacks = ", ".join(sorted(wanted - names)) or "itself"
                raise InputError(f"{path}: is no bag of ROS 2: table {table} lacks {lacks}")
        yield base


def _told(path: Path) -> int | None:
    """How many messages metadata.yaml says that this file holds, if it does. Raises InputError where it is damaged."""
    beside = path.with_name(BAG_METADATA)
    if not beside.is_file():
        return None
    try:
        with beside.open("rb") as file:
            content = yaml.safe_load(file.read(MAX_METADATA_BYTES))
        if isinstance(content, dict) and METADATA_ENTRY not in content:
            return None  # of somebody else
        about = content[METADATA_ENTRY]
        names = [Path(str(name)).name for name in about["relative_file_paths"]]
        if path.name not in names:
            return None
        entries = [entry for part in about.values() if isinstance(part, list) for entry in part]
        by_file = [entry for entry in entries if isinstance(entry, dict) and "path" in entry]
        counts = {Path(str(entry["path"])).name: entry["message_count"] for entry in by_file}
        told = counts.get(path.name, about.get("message_count") if len(names) == 1 else None)
    except OSError as error:
        raise InputError(f"{beside}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{beside}: is damaged ({reason}); remove it, or `ros2 bag reindex`") from error
    return told if isinstance(told, int) else None


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What SQLite raises, as InputError."""
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: truncated or damaged database ({reason}); {REMEDY}") from error


READER = Reader("ROS 2 bag (.db3)", stream_member=stream_rosbag2, signatures=(SIGNATURE,), suffixes=(".db3",), members=True)
