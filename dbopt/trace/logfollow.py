"""Follows a log file, or the newest in a directory, as `tail -F` does: bounded, and blocking.

Run `read` in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_BEHIND = 64 << 20
"""Bytes: who is further behind skips what is between."""
_RECENT = 600.0
_SUFFIXES = (".json", ".csv", ".log")


class LogFollower:
    """Reads what is appended from now on; `skipped` counts bytes that were passed over.

    A file that was rotated is read to its end before the next one is begun. One that was
    truncated is read from its start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._began = False
        self.skipped = 0
        self.name = ""

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, most: int) -> Iterator[tuple[str, bytes]]:
        """At most `most` bytes, with the name of the file that they are from. Raises OSError."""
        left = most
        while left > 0:
            if self._file is None and not self._open():
                return
            data = self._some(left)
            if data:
                left -= len(data)
                yield self.name, data
            elif not self._moved():
                return

    def _open(self) -> bool:
        path = newest(self._path)
        if path is None:
            return False
        # A pipe of that name would hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        self._file, self.name = os.fdopen(descriptor, "rb"), str(path)
        if not self._began:
            # What was logged before is of an earlier time.
            self._file.seek(0, os.SEEK_END)
        self._began = True
        return True

    def _some(self, most: int) -> bytes:
        assert self._file is not None  # noqa: S101 - opened by read
        size, at = os.fstat(self._file.fileno()).st_size, self._file.tell()
        if size < at:
            self._file.seek(0)
        elif size - at > MAX_BEHIND:
            self.skipped += size - at - most
            self._file.seek(size - most)
        return self._file.read(most)

    def _moved(self) -> bool:
        """Whether another file is written now; lets the old one go."""
        assert self._file is not None  # noqa: S101 - opened by read
        path = newest(self._path)
        if path is None or os.path.samestat(os.fstat(self._file.fileno()), path.stat()):
            return False
        self.close()
        return True


def newest(path: Path) -> Path | None:
    """The file itself; of a directory the log that is written now, jsonlog before csvlog before
    others, since a server may write all three. None where there is none. Raises OSError."""
    if not path.is_dir():
        path.stat()
        return path
    logs = [
        (entry.stat().st_mtime, entry.path)
        for entry in os.scandir(path)
        if entry.name.endswith(_SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
    ]
    if not logs:
        return None
    lately = max(logs)[0] - _RECENT
    for suffix in _SUFFIXES:
        found = [log for log in logs if log[1].endswith(suffix) and log[0] >= lately]
        if found:
            return Path(max(found)[1])
    return None
