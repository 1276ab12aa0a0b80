"""The spool: what the store has not taken, in order, in memory or in files; bounded.

A directory holds segments, each begun with a magic word and the id of the writer whose records
it has: length, CRC-32, number (4, 4 and 8 bytes, big-endian), then the bytes. A record is on the
disk when `append` returns. A crash may tear the last one: what cannot be read is cut off when
the directory is opened. A segment is removed once all of it has been taken; after a crash in
between its records come again, with their numbers, by which the store knows them.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import uuid
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from dbopt.errors import ConfigError

MAGIC = b"dbopt-spool-1\n\0\0"
HEAD = struct.Struct(">IIQ")
_BEGIN = len(MAGIC) + 16
_SEGMENTS = 16
"""The spool is bounded by dropping its oldest segment, a part in so many."""
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Record:
    """A batch's bytes; `writer` and `number` tell it from every other."""

    writer: uuid.UUID
    number: int
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return HEAD.size + len(self.data)


@dataclass(slots=True)
class _Segment:
    path: Path
    writer: uuid.UUID
    size: int
    numbers: deque[tuple[int, int, int]] = field(default_factory=deque)
    """Number, place of the bytes, length: of each record that is not taken yet."""


class Spool:
    """Records from the oldest to the newest. `dropped` counts those lost.

    Without a directory they are in memory, and so are those that the disk does not take. Raises
    ConfigError where the directory cannot be used, or another process uses it.
    """

    def __init__(self, directory: str | Path = "", limit: int = 64 << 20) -> None:
        self.dropped = 0
        self.error = ""
        self._limit = limit
        self._memory: deque[Record] = deque()
        self._memory_size = 0
        self._segments: deque[_Segment] = deque()
        self._directory = Path(directory) if directory else None
        self._lock = -1
        self._next = 1
        # The writer's threads take turns, unless one was left alone by a cancelled task.
        self._turn = threading.Lock()
        if self._directory is not None:
            try:
                self._open(self._directory)
            except OSError as error:
                self.close()
                raise ConfigError(
                    f"store.spool_dir: {self._directory} cannot be used ({error.strerror}).",
                    hint="It must be a directory of dbopt's own, which it may write.",
                ) from None

    def _open(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._lock = os.open(directory / LOCK, flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"store.spool_dir: another dbopt uses {directory}.",
                hint="Give each sidecar a directory of its own.",
            ) from None
        for path in sorted(directory.glob("*.spool")):
            segment = self._read(path)
            self._next = int(path.stem) + 1 if path.stem.isdigit() else self._next
            if segment is None:
                path.unlink()
            else:
                self._segments.append(segment)

    def _read(self, path: Path) -> _Segment | None:
        """A segment's records; its torn tail is cut off. None where nothing can be read."""
        data = path.read_bytes()
        if len(data) < _BEGIN or not data.startswith(MAGIC):
            self.dropped += bool(data)
            return None
        segment = _Segment(path, uuid.UUID(bytes=data[len(MAGIC) : _BEGIN]), _BEGIN)
        at = _BEGIN
        while at + HEAD.size <= len(data):
            length, crc, number = HEAD.unpack_from(data, at)
            body = data[at + HEAD.size : at + HEAD.size + length]
            if len(body) < length or _crc(number, body) != crc:
                break
            segment.numbers.append((number, at + HEAD.size, length))
            at += HEAD.size + length
        if at < len(data):
            self.dropped += 1
            os.truncate(path, at)
        segment.size = at
        return segment if segment.numbers else None

    def __len__(self) -> int:
        # A tuple at once: another thread may append meanwhile.
        return len(self._memory) + sum(len(one.numbers) for one in tuple(self._segments))

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._memory_size + sum(segment.size for segment in tuple(self._segments))

    @property
    def durable(self) -> bool:
        """Whether all that is held outlives this process."""
        return self._directory is not None and not self._memory

    def append(self, records: list[Record]) -> None:
        """Hold these, the newest; beyond the limit the oldest are dropped. Never raises OSError."""
        with self._turn:
            self._append(records)

    def _append(self, records: list[Record]) -> None:
        self._memory.extend(records)
        self._memory_size += sum(record.size for record in records)
        if self._directory is not None:
            try:
                self._to_disk(self._directory)
                self.error = ""
            except OSError as error:
                self.error = f"The spool cannot be written ({error.strerror})."
        while self.size > self._limit and len(self) > 1:
            self._drop_oldest()

    def _to_disk(self, directory: Path) -> None:
        """What is in memory, in order; as much as the disk takes."""
        while self._memory:
            segment = self._segments[-1] if self._segments else None
            writer = self._memory[0].writer
            full = self._limit // _SEGMENTS
            if segment is None or segment.writer != writer or segment.size >= full:
                segment = self._begin(directory, writer)
            taken: list[Record] = []
            for record in self._memory:
                if record.writer != writer or (taken and segment.size >= full):
                    break
                taken.append(record)
            self._write(segment, taken)
            for record in taken:
                self._memory.popleft()
                self._memory_size -= record.size

    def _begin(self, directory: Path, writer: uuid.UUID) -> _Segment:
        path = directory / f"{self._next:012d}.spool"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, MAGIC + writer.bytes)
        finally:
            os.close(handle)
        self._next += 1
        self._segments.append(_Segment(path, writer, _BEGIN))
        parent = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
        return self._segments[-1]

    def _write(self, segment: _Segment, records: list[Record]) -> None:
        handle = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            # What a full disk has let half through is written over.
            os.ftruncate(handle, segment.size)
            os.lseek(handle, segment.size, os.SEEK_SET)
            _write_all(handle, b"".join(map(_bytes, records)))
            os.fsync(handle)
        finally:
            os.close(handle)
        for record in records:
            place = segment.size + HEAD.size
            segment.numbers.append((record.number, place, len(record.data)))
            segment.size += record.size

    def _drop_oldest(self) -> None:
        if self._segments:
            segment = self._segments.popleft()
            self.dropped += len(segment.numbers)
            segment.path.unlink(missing_ok=True)
        else:
            self.dropped += 1
            self._memory_size -= self._memory.popleft().size

    def oldest(self) -> Record | None:
        """The record to be stored next; None where nothing is held."""
        with self._turn:
            return self._oldest()

    def _oldest(self) -> Record | None:
        while self._segments:
            segment = self._segments[0]
            if segment.numbers:
                number, place, length = segment.numbers[0]
                try:
                    with segment.path.open("rb") as file:
                        file.seek(place)
                        data = file.read(length)
                except OSError:
                    data = b""
                if len(data) == length:
                    return Record(segment.writer, number, data)
                # Somebody has removed or cut it.
                self.dropped += len(segment.numbers)
            self._segments.popleft().path.unlink(missing_ok=True)
        return self._memory[0] if self._memory else None

    def forget(self) -> None:
        """The oldest is in the store."""
        with self._turn:
            self._forget()

    def _forget(self) -> None:
        if self._segments:
            segment = self._segments[0]
            segment.numbers.popleft()
            if not segment.numbers:
                self._segments.popleft()
                segment.path.unlink(missing_ok=True)
        elif self._memory:
            self._memory_size -= self._memory.popleft().size

    def close(self) -> None:
        """Let another process have the directory."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _bytes(record: Record) -> bytes:
    crc = _crc(record.number, record.data)
    return HEAD.pack(len(record.data), crc, record.number) + record.data


def _crc(number: int, data: bytes) -> int:
    return zlib.crc32(data, number & 0xFFFFFFFF)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
