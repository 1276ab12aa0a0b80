from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbopt.trace import logfollow
from dbopt.trace.logfollow import LogFollower, newest


def read(follower: LogFollower, most: int = 1 << 20) -> bytes:
    return b"".join(data for _, data in follower.read(most))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "server.log"
    path.write_bytes(b"before\n")
    return path


def test_what_is_appended_from_now_on(log: Path) -> None:
    follower = LogFollower(log)
    assert b"" == read(follower)
    append(log, b"one\n")
    assert b"one\n" == read(follower)
    assert b"" == read(follower)
    follower.close()


def test_at_most_so_many_bytes_at_a_time(log: Path) -> None:
    follower = LogFollower(log)
    read(follower)
    append(log, b"x" * 100)
    assert [60, 40, 0] == [len(read(follower, 60)) for _ in range(3)]
    follower.close()


def test_a_rotated_file_is_read_to_its_end_and_then_the_next(log: Path) -> None:
    follower = LogFollower(log)
    read(follower)
    append(log, b"last\n")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"first\n")
    assert b"last\nfirst\n" == read(follower)
    follower.close()


def test_a_truncated_file_is_read_from_its_start(log: Path) -> None:
    follower = LogFollower(log)
    read(follower)
    append(log, b"much that is read\n")
    read(follower)
    os.truncate(log, 0)
    append(log, b"new\n")
    assert b"new\n" == read(follower)
    follower.close()


def test_who_is_far_behind_skips(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfollow, "MAX_BEHIND", 1000)
    follower = LogFollower(log)
    read(follower)
    append(log, b"x" * 2000 + b"end")
    assert b"xxend" == read(follower, 5)
    assert 1998 == follower.skipped
    follower.close()


def test_the_newest_file_of_a_directory(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path)
    assert b"" == read(follower)
    monday, tuesday = tmp_path / "mon.log", tmp_path / "tue.log"
    monday.write_bytes(b"before\n")
    assert b"" == read(follower)
    append(monday, b"a\n")
    tuesday.write_bytes(b"b\n")
    os.utime(monday, (1, 1))
    assert b"a\nb\n" == read(follower)
    (tmp_path / "other.txt").write_bytes(b"no log\n")
    assert b"" == read(follower)
    follower.close()


def test_of_three_formats_the_richest(tmp_path: Path) -> None:
    for n, suffix in enumerate((".json", ".csv", ".log")):
        path = tmp_path / f"server{suffix}"
        path.write_bytes(b"")
        os.utime(path, (1000 + n, 1000 + n))
    assert tmp_path / "server.json" == newest(tmp_path)
    os.utime(tmp_path / "server.json", (1, 1))  # no longer written
    assert tmp_path / "server.csv" == newest(tmp_path)


def test_what_is_not_there_is_an_error_until_it_comes(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "none.log")
    with pytest.raises(FileNotFoundError):
        read(follower)
    (tmp_path / "none.log").write_bytes(b"before\n")
    assert b"" == read(follower)
    follower.close()


def test_a_pipe_of_that_name_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    with pytest.raises(OSError, match="regular"):
        read(LogFollower(tmp_path / "pipe.log"))
    assert newest(tmp_path) is None
