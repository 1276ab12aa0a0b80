"""Guarding: what the server is sent of what the guard refuses, counts, or has not judged yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from dbopt.gateway.guarding import FAILING_CALL, whole_text
from dbopt.gateway.naming import FAILING_MESSAGE, FLUSH, REFUSED
from dbopt.guardsettings import GuardRules
from dbopt.verdict import Verdict
from dbopt.wire import encode
from dbopt.wire import messages as m
from tests.unit.gateway.test_upstream import EXECUTE, SYNC, Side, bind, parse

NO = Verdict(refused=True, rule="complexity", sqlstate="54001", message="Too complex.")
QUERY = encode.query
CALL = m.FunctionCall(7).encode()


class Watching:
    """A Watch that knows what it is told to."""

    def __init__(self, **known: Verdict | None) -> None:
        self.known = known
        self.rules = GuardRules(mode="enforce")
        self.refused: list[tuple[bytes, str]] = []

    def verdict(self, text: bytes, settings: dict[str, str]) -> Verdict | None:
        return next((v for word, v in self.known.items() if word.encode() in text), Verdict())

    def mark(self, count: Any, text: bytes) -> None:
        count.special = True

    def refuse(self, text: bytes, verdict: Verdict) -> None:
        self.refused.append((text, verdict.rule))


class Guarded(Side):
    def __init__(self, **known: Verdict | None) -> None:
        super().__init__()
        self.watch = Watching(**known)
        self.ledger.scope.watch = cast(Any, self.watch)

    def passes(self, data: bytes) -> bool:
        return data == self.send(data) and len(data) == self.taken


def test_what_may_run_passes_as_it_is() -> None:
    side = Guarded()
    assert side.passes(QUERY(b"a") + parse(b"b") + bind() + EXECUTE + SYNC)
    assert ["QUERY", "PARSE", "EXECUTE", "SYNC"] == side.owed


def test_a_refused_query_fails_in_its_place() -> None:
    side = Guarded(nasty=NO)
    sent = side.send(QUERY(b"a") + QUERY(b"nasty") + QUERY(b"b"))
    assert QUERY(b"a") + QUERY(REFUSED) + QUERY(b"b") == sent
    refusals = [request.refusal for request in side.ledger.requests]
    assert [b"", encode.error_fields("ERROR", "54001", "Too complex."), b""] == refusals
    assert [(b"nasty", "complexity")] == side.watch.refused


def test_a_refused_unnamed_parse_drops_the_one_before() -> None:
    side = Guarded(nasty=NO)
    side.send(parse(b"a") + SYNC)
    assert parse(REFUSED) == side.send(parse(b"nasty"))
    assert (None, None) == (side.upstream.unnamed, side.prepared.unnamed)


def test_a_refused_named_parse_leaves_the_unnamed_one() -> None:
    side = Guarded(nasty=NO)
    side.send(parse(b"a") + SYNC)
    before = side.upstream.unnamed
    assert FAILING_MESSAGE == side.send(parse(b"nasty", b"x"))
    assert before is side.upstream.unnamed is side.prepared.unnamed
    assert b"x" not in side.upstream.names


def test_a_refused_parse_that_the_server_skips_gives_back_the_unnamed_one() -> None:
    side = Guarded(nasty=NO)
    side.send(parse(b"a") + SYNC)
    before = side.upstream.unnamed
    side.ledger.clear()
    side.send(parse(b"bad", b"x") + parse(b"nasty"))
    side.upstream.undo(side.ledger.fail("42601", 2.0), side.prepared)
    assert before is side.upstream.unnamed
    assert side.prepared.unnamed is None, "the server has none"


def test_a_refused_execute_fails_in_its_place() -> None:
    side = Guarded()
    side.send(parse(b"a", b"x") + SYNC)
    side.ledger.clear()
    side.watch.known["a"] = NO
    sent = side.send(bind(b"x") + EXECUTE + SYNC)
    assert bind(b"dbopt_1") + FAILING_MESSAGE + SYNC == sent
    assert [(b"a", "complexity")] == side.watch.refused


def test_while_the_server_skips_nothing_is_judged() -> None:
    side = Guarded(nasty=NO)
    side.ledger.skipping = side.ledger.open_batch = True
    assert side.passes(QUERY(b"nasty") + parse(b"nasty") + EXECUTE)
    assert [] == side.watch.refused


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (QUERY(b"new"), b""),
        (QUERY(b"a") + QUERY(b"new"), QUERY(b"a")),
        (parse(b"a") + bind() + EXECUTE + parse(b"new"), parse(b"a") + bind() + EXECUTE),
        (parse(b"a") + SYNC + parse(b"new", b"x") + SYNC, parse(b"a") + SYNC),
    ],
)
def test_what_is_not_judged_yet_waits_with_all_behind_it(data: bytes, sent: bytes) -> None:
    side = Guarded(new=None)
    assert sent == side.send(data + QUERY(b"b"))
    assert (len(sent), b"new") == (side.taken, side.upstream.unjudged)
    owed = len(side.owed)
    side.watch.known.clear()
    side.upstream.unjudged = b""
    assert side.send((data + QUERY(b"b"))[len(sent) :])
    assert owed < len(side.owed)
    assert b"" == side.upstream.unjudged


def test_a_heavy_one_is_noted() -> None:
    side = Guarded(big=Verdict(heavy=True))
    side.send(QUERY(b"a"))
    assert not side.upstream.heavy
    side.send(QUERY(b"big") + QUERY(b"a"))
    assert side.upstream.heavy


# SQL's PREPARE


@pytest.mark.parametrize(("made", "used"), [(b"P", b"p"), (b"p", b"P"), (b'"a B"', b'"a B"')])
def test_execute_is_judged_by_what_it_runs(made: bytes, used: bytes) -> None:
    side = Guarded()
    side.send(QUERY(b"prepare " + made + b" as select bad"))
    side.ledger.clear()
    side.watch.known["bad"] = NO
    assert side.send(QUERY(b"execute " + used)).endswith(QUERY(REFUSED))
    assert [(b"PREPARE p  as select bad", "complexity")] == side.watch.refused
    side.watch.known["bad"] = None
    side.send(QUERY(b"execute " + used))
    assert b"PREPARE p  as select bad" == side.upstream.unjudged


def test_execute_takes_the_strictest_of_both() -> None:
    side = Guarded()
    side.send(QUERY(b"prepare p as select bad"))
    side.ledger.clear()
    side.watch.known |= {
        "bad": Verdict(timeout=2.0), "execute": Verdict(timeout=5.0, max_rows=9),
    }  # fmt: skip
    side.send(QUERY(b"execute p"))
    request = side.ledger.requests[-1]
    assert (2.0, 9) == (request.timeout, request.max_rows)


def test_execute_is_as_heavy_as_what_it_runs() -> None:
    side = Guarded()
    side.send(QUERY(b"prepare p as select big"))
    side.watch.known["big"] = Verdict(heavy=True)
    verdict = side.upstream.known_verdict(b"execute p")
    assert verdict is not None
    assert verdict.heavy
    assert Verdict() == side.upstream.known_verdict(b"execute q")


# Rows


COUNTED = {"big": Verdict(max_rows=10)}


def test_what_is_counted_goes_alone() -> None:
    side = Guarded(**COUNTED)
    data = QUERY(b"big") + QUERY(b"a")
    assert QUERY(b"big") == side.send(data)
    assert side.ledger.limited is side.ledger.requests[0]
    assert side.upstream.paced
    assert b"" == side.send(QUERY(b"a"))


def test_behind_others_it_waits_until_they_are_answered() -> None:
    side = Guarded(**COUNTED)
    assert QUERY(b"a") + FLUSH == side.send(QUERY(b"a") + QUERY(b"big"))
    assert (True, None) == (side.upstream.paced, side.ledger.limited)
    side.ledger.clear()
    side.upstream.paced = False
    assert QUERY(b"big") == side.send(QUERY(b"big"))


def test_behind_a_batch_without_a_sync_the_server_is_told_to_answer() -> None:
    side = Guarded(**COUNTED)
    batch = parse(b"a") + bind() + EXECUTE
    sent = side.send(batch + QUERY(b"big"))
    assert sent.startswith(batch)
    assert sent.endswith(FLUSH)
    assert (len(batch), True) == (side.taken, side.upstream.paced)


def test_a_counted_execute_is_flushed_since_its_sync_waits() -> None:
    side = Guarded(**COUNTED)
    sent = side.send(parse(b"big") + bind() + EXECUTE + SYNC)
    assert parse(b"big") + bind() + EXECUTE + FLUSH == sent
    side.ledger.limited = None
    side.upstream.paced = False
    assert side.passes(SYNC)


def test_what_waits_to_be_alone_changes_no_name_yet() -> None:
    side = Guarded(p=Verdict(max_rows=10))
    side.send(QUERY(b"a") + QUERY(b"prepare p as select 1"))
    assert {} == side.upstream.names
    assert ["QUERY"] == side.owed


def test_the_end_of_a_copy_is_nothing_to_wait_for() -> None:
    side = Guarded(**COUNTED)
    side.send(QUERY(b"a"))
    side.ledger.copy_ended()
    side.ledger.requests.popleft()
    assert not side.ledger.executes


# The fastpath


def test_a_function_call_passes_where_writes_are_allowed() -> None:
    assert Guarded().passes(CALL)


@pytest.mark.parametrize("mode", ["off", "enforce"])
def test_a_function_call_is_refused_where_only_reads_are(mode: str) -> None:
    side = Guarded()
    side.watch.rules = GuardRules(mode=mode, read_only=True)
    refused = mode == "enforce"
    assert (FAILING_CALL if refused else CALL) == side.send(CALL)
    assert ["25006"] * refused == [r.sqlstate for r in side.ledger.requests if r.refusal]
    assert refused is bool(side.watch.refused)


def test_in_a_batch_it_is_refused_behind_the_fence() -> None:
    side = Guarded()
    side.watch.rules = GuardRules(mode="enforce", read_only=True)
    sent = side.send(parse(b"a") + CALL)
    assert parse(b"a") + encode.close_statement(b"dbopt_none") + FAILING_CALL == sent
    assert ["PARSE", "CLOSE_HIDDEN", "FUNCTION"] == side.owed


# What the first messages are about


FIRST: list[tuple[Callable[[], bytes], bytes]] = [
    (lambda: QUERY(b"a"), b"a"),
    (lambda: parse(b"a") + parse(b"b"), b"a"),
    (lambda: parse(b"a", b"name"), b"a"),
    (lambda: bind(b"known"), b"k"),
    (lambda: bind(b"by_sql"), b"PREPARE p  as select 1"),
    (lambda: bind(b"unknown"), b""),
    (lambda: bind(), b"u"),
    (lambda: encode.close_statement(b"x") + encode.flush() + SYNC + parse(b"a"), b"a"),
    (lambda: encode.describe_statement(b"x") + bind(b"known"), b"k"),
    (lambda: SYNC, b""),
    (lambda: SYNC + QUERY(b"a")[:-1], b""),
    (lambda: EXECUTE, b"u"),
    (lambda: CALL + QUERY(b"a"), b""),
    (lambda: b"H\0\0\0\0" * 3, b""),
    (lambda: b"S\xff\xff\xff\xff", b""),
]


@pytest.mark.parametrize("number", range(len(FIRST)))
def test_what_the_first_messages_are_about(number: int) -> None:
    data, text = FIRST[number]
    side = Guarded()
    side.send(QUERY(b"prepare by_sql as select 1"))
    side.send(parse(b"k", b"known") + parse(b"u") + bind() + SYNC)
    assert text == side.upstream.first_text(data())


def test_a_statement_that_prepare_has_made_is_read_with_that_word() -> None:
    side = Guarded()
    side.send(QUERY(b"prepare x as select 1") + parse(b"select 1", b"y"))
    texts = [whole_text(statement) for statement in side.upstream.names.values()]
    assert [b"PREPARE p  as select 1", b"select 1"] == texts
