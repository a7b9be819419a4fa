"""A file written again and again."""

from pathlib import Path


def rewrite(path: Path, content: bytes) -> None:
    """Give a file other content, under a new inode: where an old one is cut to nothing and filled, ext4 waits for the disk, for
    longer than a test takes to read it."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
