from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.errors import ConfigError
from dbopt.store.spool import HEAD, MAGIC, Record, Spool
from tests.support import examples

W = uuid.UUID(int=7)
V = uuid.UUID(int=8)


def record(number: int, size: int = 10, writer: uuid.UUID = W) -> Record:
    return Record(writer, number, bytes([number % 256]) * size)


def drained(spool: Spool) -> list[Record]:
    found = []
    while (one := spool.oldest()) is not None:
        found.append(one)
        spool.forget()
    return found


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


@pytest.mark.parametrize("on_disk", [False, True])
def test_first_in_first_out(tmp_path: Path, on_disk: bool) -> None:
    spool = Spool(tmp_path / "spool" if on_disk else "")
    records = [record(n, n) for n in range(5)]
    spool.append(records[:2])
    spool.append(records[2:])
    assert (5, on_disk) == (len(spool), spool.durable)
    assert records == drained(spool)
    assert (0, 0, 0) == (len(spool), spool.size, spool.dropped)


def test_what_is_held_outlives_the_process(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append([record(1), record(2, writer=V), record(3)])
    assert first.oldest() == record(1)
    first.forget()
    first.close()
    second = Spool(tmp_path)
    # Those of a segment that is not all taken come again, with their numbers.
    assert [record(2, writer=V), record(3)] == drained(second)
    assert [] == segments(tmp_path)


def test_files_are_for_us_alone(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    Spool(directory).append([record(1)])
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())]
    assert [0o700, 0o600, 0o600] == modes


def test_the_oldest_goes_where_it_is_too_much(tmp_path: Path) -> None:
    for directory in ("", tmp_path):
        spool = Spool(directory, 16 * 1000)
        for number in range(100):
            spool.append([record(number, 480)])
            assert spool.size <= 16 * 1000
        kept = [one.number for one in drained(spool)]
        assert list(range(100 - len(kept), 100)) == kept
        assert 100 - len(kept) == spool.dropped
        assert len(kept) >= 28


def test_one_that_is_too_large_is_kept_while_it_is_the_only_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    spool.append([record(1, 500)])
    assert 1 == len(spool)
    spool.append([record(2, 10)])
    assert [2] == [one.number for one in drained(spool)]


@given(st.integers(1, 200), st.booleans())
@settings(max_examples=examples(40), deadline=None)
def test_a_torn_tail_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, lost: int, tear: bool
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool = Spool(directory)
    records = [record(n, 30) for n in range(4)]
    spool.append(records)
    spool.close()
    (path,) = segments(directory)
    data = path.read_bytes()
    whole = len(MAGIC) + 16
    keep = len(data) - min(lost, len(data) - whole)
    path.write_bytes(data[:keep] if tear else data[:keep] + b"\xff" * (len(data) - keep))
    again = Spool(directory)
    count = (keep - whole) // (HEAD.size + 30)
    assert int(keep - whole != count * (HEAD.size + 30) or not tear) == again.dropped
    again.append([record(9)])
    again.close()
    assert [*records[:count], record(9)] == drained(Spool(directory))


def test_what_is_no_segment_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "000000000001.spool").write_bytes(b"")
    (tmp_path / "000000000002.spool").write_bytes(b"something else")
    spool = Spool(tmp_path)
    assert (1, 0, []) == (spool.dropped, len(spool), segments(tmp_path))
    spool.append([record(1)])
    assert ["000000000003.spool"] == [path.name for path in segments(tmp_path)]


def test_a_segment_that_somebody_removes_is_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 16 * 100)
    for number in range(4):
        spool.append([record(number, 80)])
    segments(tmp_path)[0].unlink()
    found = drained(spool)
    assert (4, 3) == (spool.dropped + len(found), found[-1].number)


def test_a_disk_that_takes_nothing_leaves_it_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append([record(1)])

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        spool.append([record(2)])
    assert ("The spool cannot be written (No space left on device).", False) == (
        spool.error, spool.durable,
    )  # fmt: skip
    assert 2 == len(spool)
    spool.append([record(3)])
    assert ("", True) == (spool.error, spool.durable)
    assert [1, 2, 3] == [one.number for one in drained(spool)]


def test_one_process_a_directory(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(ConfigError, match="another dbopt uses"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"store.spool_dir: .*file cannot be used"):
        Spool(tmp_path / "file")
