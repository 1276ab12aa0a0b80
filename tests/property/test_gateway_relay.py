"""Whatever clients send and however it is cut, each gets what a server of its own would say."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.wire import messages as m
from tests.support import examples
from tests.unit.gateway.stage import Stage, directly, play, told

SYNC = m.Sync().encode()
FLUSH = m.Flush().encode()
SQL = st.sampled_from(
    [
        b"select",
        b"select",
        b"",
        b"error",
        b"begin",
        b"commit",
        b"set timezone to a",
        b"set timezone to b",
    ]
)
NAMES = st.sampled_from([b"x", b"y", b"z"])
PORTALS = st.sampled_from([b"", b"", b"p"])
VALUES = st.sampled_from([(), (), (), (b"bad",)])


def _join(parts: list[bytes]) -> bytes:
    return b"".join(parts)


BY_SQL = st.sampled_from(
    [b"prepare x as select", b"prepare y as select", b"prepare x as error", b"execute x",
     b"execute y", b"execute z", b"deallocate x", b"deallocate y",
     b"prepare z as set timezone to c"]
)  # fmt: skip
queries = st.lists(SQL | BY_SQL, min_size=1, max_size=3).map(
    lambda parts: m.Query(b";".join(parts)).encode()
)
parses = st.builds(lambda name, sql: m.Parse(name, sql).encode(), NAMES, SQL | st.just(b"bad"))
binds = st.builds(lambda p, n, v: m.Bind(p, n, (), v, ()).encode(), PORTALS, NAMES, VALUES)
executes = st.builds(lambda p, n: m.Execute(p, n).encode(), PORTALS, st.sampled_from([0, 0, 1]))
kinds = st.sampled_from([ord("S"), ord("P")])
describes = st.builds(lambda k, n: m.Describe(k, n).encode(), kinds, NAMES)
closes = st.builds(lambda k, n: m.Close(k, n).encode(), kinds, NAMES)
runs = st.builds(
    lambda name, sql: (
        m.Parse(name, sql).encode()
        + m.Bind(b"", name, (), (), ()).encode()
        + m.Execute(b"").encode()
    ),
    NAMES | st.just(b""),
    SQL,
)
by_sql = BY_SQL.map(
    lambda sql: (
        m.Parse(b"", sql).encode() + m.Bind(b"", b"", (), (), ()).encode() + m.Execute(b"").encode()
    )
)
# The unnamed statement is used by who has just parsed it, if in another batch.
kept = SQL.map(
    lambda sql: (
        SYNC
        + m.Parse(b"", sql).encode()
        + SYNC
        + m.Bind(b"", b"", (), (), ()).encode()
        + m.Execute(b"").encode()
        + SYNC
    )
)

extended = st.one_of(parses, binds, executes, describes, closes, runs, by_sql, st.just(FLUSH))
batches = st.lists(extended, max_size=6).map(_join)
synced = batches.map(lambda batch: batch + SYNC)
functions = st.sampled_from([m.FunctionCall(0).encode(), m.FunctionCall(9).encode()])
copy_ends = st.sampled_from([m.CopyDone().encode(), m.CopyFail(b"no").encode()])
# No Sync among a COPY's data: whether it is answered hangs on when the server met bad data.
copy_rows = st.lists(
    st.sampled_from([m.CopyData(b"row" * 9).encode(), m.CopyData(b"bad").encode(), FLUSH]),
    max_size=4,
).map(_join)
copy_data = st.builds(lambda data, end: data + end, copy_rows, copy_ends)
simple_copies = copy_data.map(lambda data: m.Query(b"select;copy").encode() + data)


def _extended_copies(name: bytes, after: bytes) -> st.SearchStrategy[bytes]:
    run = (
        m.Parse(name, b"copy").encode()
        + m.Bind(name, name, (), (), ()).encode()
        + m.Execute(name).encode()
    )
    early_sync = st.sampled_from([b"", SYNC])
    return st.builds(lambda sync, data: run + sync + data + SYNC + after, early_sync, copy_data)


extended_copies = _extended_copies(b"", b"")
# Nothing else may execute the COPY again: no data would follow.
named_copies = _extended_copies(
    b"c", m.Close(ord("P"), b"c").encode() + m.Close(ord("S"), b"c").encode() + SYNC
)
END = [SYNC, m.Query(b"rollback").encode()]


def _scripts(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.one_of(*parts), max_size=8).map(lambda found: found + END)


patient = _scripts(queries, synced, synced, synced, batches, functions, simple_copies, named_copies)
unnamed_runs = st.builds(
    lambda sql, value: (
        m.Parse(b"", sql).encode()
        + m.Bind(b"", b"", (), value, ()).encode()
        + m.Describe(ord("P"), b"").encode()
        + m.Execute(b"").encode()
    ),
    SQL | st.just(b"bad"),
    VALUES,
)
unnamed = st.lists(unnamed_runs | st.just(FLUSH), max_size=4).map(_join)
hasty = _scripts(
    queries, unnamed, unnamed.map(lambda b: b + SYNC), functions, simple_copies, extended_copies,
    synced, synced, synced, batches, kept,
)  # fmt: skip
cuts = st.sampled_from([1, 10, 100, 1000])
seeds = st.integers(0, 1 << 32)


def check(scripts: list[list[bytes]], stage: Stage, cut: int, seed: int, *, patient: bool) -> None:
    relays = {stage.client(f"zone{number}"): parts for number, parts in enumerate(scripts)}
    play(stage, relays, random.Random(seed), cut, patient)  # noqa: S311 - no secret
    for number, (relay, parts) in enumerate(relays.items()):
        assert directly(b"".join(parts), f"zone{number}") == told(relay)
    assert {id(b) for b in stage.backends} == {id(b) for b in stage.free}
    assert not stage.discarded


@settings(max_examples=examples(300), deadline=None)
@given(script=patient, capacity=st.sampled_from([1, 100]), cut=cuts, seed=seeds)
def test_a_patient_client(script: list[bytes], capacity: int, cut: int, seed: int) -> None:
    check([script], Stage(1, capacity), cut, seed, patient=True)


@settings(max_examples=examples(300), deadline=None)
@given(
    scripts=st.lists(patient, min_size=2, max_size=4),
    backends=st.integers(1, 2),
    capacity=st.sampled_from([1, 2, 100]),
    cut=cuts,
    seed=seeds,
)
def test_patient_clients_that_share_backends(
    scripts: list[list[bytes]], backends: int, capacity: int, cut: int, seed: int
) -> None:
    check(scripts, Stage(backends, capacity), cut, seed, patient=True)


@settings(max_examples=examples(300), deadline=None)
@given(
    scripts=st.lists(hasty, min_size=1, max_size=4),
    backends=st.integers(1, 2),
    cut=cuts,
    seed=seeds,
)
def test_hasty_clients_that_share_backends(
    scripts: list[list[bytes]], backends: int, cut: int, seed: int
) -> None:
    check(scripts, Stage(backends), cut, seed, patient=False)
