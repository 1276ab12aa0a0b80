"""Ledger: what is owed, and when the backend may be given away."""

from __future__ import annotations

import pytest

from dbopt.gateway import request as module
from dbopt.gateway.counts import Counts
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.request import COPY_END_REQUEST, SYNC_REQUEST, Request

KINDS = {
    "P": module.PARSE, "p": module.PARSE_HIDDEN, "C": module.CLOSE, "E": module.EXECUTE,
    "Q": module.QUERY, "F": module.FUNCTION,
}  # fmt: skip


def ledger_of(requests: str) -> Ledger:
    """P Parse, p hidden Parse, C Close, E Execute, Q Query, F function call, S Sync, c copy end."""
    ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
    for letter in requests:
        shared = {"S": SYNC_REQUEST, "c": COPY_END_REQUEST}.get(letter)
        request = shared or Request(KINDS[letter], letter.encode(), 1.0)
        ledger.requests.append(request)
        ledger.ends += request.kind >= module.QUERY
    return ledger


def letters(ledger: Ledger) -> str:
    names = {kind: letter for letter, kind in KINDS.items()}
    names |= {module.SYNC: "S", module.COPY_END: "c"}
    return "".join(names[request.kind] for request in ledger.requests)


def counted(ledger: Ledger) -> list[tuple[str, dict[str, int]]]:
    scope = ledger.scope
    return [(text.decode(), count.errors) for text, count in scope.by_text.items()]


def test_at_rest() -> None:
    assert ledger_of("").at_rest
    assert not ledger_of("Q").at_rest
    assert not ledger_of("P").at_rest
    for name, value in (("open_batch", True), ("status", ord("T")), ("ends", 1)):
        ledger = ledger_of("")
        setattr(ledger, name, value)
        assert not ledger.at_rest


@pytest.mark.parametrize(
    ("before", "after", "ends", "skipping", "charged"),
    [
        ("Q", "Q", 1, False, ""),
        ("QQ", "QQ", 2, False, ""),
        ("F", "F", 1, False, ""),
        ("PES", "S", 1, False, "P"),
        ("ES", "S", 1, False, "E"),
        ("PE", "", 0, True, "P"),
        ("pES", "S", 1, False, "E"),
        ("PEQS", "S", 1, False, "P"),
        ("PESPES", "SPES", 2, False, "P"),
        ("cS", "S", 1, False, ""),
        ("C", "", 0, True, ""),
    ],
)
def test_an_error_skips_up_to_sync(
    before: str, after: str, ends: int, skipping: bool, charged: str
) -> None:
    ledger = ledger_of(before)
    skipped = ledger.fail("22012", 2.0)
    assert (after, ends, skipping) == (letters(ledger), ledger.ends, ledger.skipping)
    assert len(before.replace("c", "")) == len(skipped) + len(after)
    assert ([(charged, {"22012": 1})] if charged else []) == counted(ledger)


@pytest.mark.parametrize(
    ("before", "after", "ends", "copying", "open_batch"),
    [
        ("Q", "Q", 1, True, False),
        ("E", "E", 0, True, True),
        ("ES", "E", 0, True, True),
        ("EcS", "ES", 1, False, False),
        ("EScS", "ES", 1, False, False),
        ("Qc", "Q", 1, False, False),
        ("QcQ", "QQ", 2, False, False),
        ("", "", 0, False, False),
    ],
)
def test_a_server_that_copies_ignores_sync(
    before: str, after: str, ends: int, copying: bool, open_batch: bool
) -> None:
    ledger = ledger_of(before)
    ledger.copy_in_started()
    assert (after, ends) == (letters(ledger), ledger.ends)
    assert (copying, open_batch) == (ledger.copying, ledger.open_batch)


def test_the_end_of_a_copy() -> None:
    copying, early, stray = ledger_of("Q"), ledger_of("Q"), ledger_of("")
    copying.copying = True
    for ledger in (copying, early, stray):
        ledger.copy_ended()
    assert ["Q", "Qc", ""] == [letters(ledger) for ledger in (copying, early, stray)]
    assert not copying.copying


def test_of_a_pipeline_each_is_charged_from_the_end_of_the_one_before() -> None:
    ledger = ledger_of("EE")
    ledger.complete(3.0)
    ledger.complete(4.0)
    (count,) = ledger.scope.by_fingerprint.values()
    assert (2, 3e6, 2e6) == (count.calls, count.total_us, count.max_us)
    assert 2 == ledger.answered


def test_a_statement_above_the_threshold_is_noted() -> None:
    ledger = ledger_of("E")
    ledger.scope.counts.configure(1000.0, False, n_plus_one=0, spans=False)
    ledger.backend_pid = 7
    ledger.complete(2.0)
    (slow,) = ledger.scope.counts.take().slow
    assert (1000.0, 7) == (slow.server_ms, slow.backend_pid)


def test_one_that_failed_is_noted_however_soon() -> None:
    ledger = ledger_of("QE")
    ledger.fail("22012", 2.0)
    ledger.finish(ledger.requests.popleft(), 2.0)
    ledger.complete(3.0)
    (failed,) = ledger.scope.counts.take().slow
    assert ("22012", 0) == (failed.sqlstate, failed.rows)


def test_a_wait_that_is_counted_is_not_counted_again() -> None:
    ledger = ledger_of("QQ")
    for request, queued in zip(list(ledger.requests), (True, False), strict=True):
        request.queue_us, request.queued = 5.0, queued
        ledger.finish(ledger.requests.popleft(), 2.0)
    assert [5.0] == [count.queue_us for count in ledger.scope.counts.take().counts]


def test_what_the_server_may_keep_back() -> None:
    found = {kinds: ledger_of(kinds).unflushed for kinds in ("", "p", "Qp", "pQ", "pS", "E")}
    assert {"": False, "p": True, "Qp": True, "pQ": False, "pS": False, "E": False} == found
    ledger = ledger_of("Ep")
    ledger.open_batch = True
    assert not ledger.unflushed


def test_clear() -> None:
    ledger = ledger_of("PEQ")
    ledger.open_batch = ledger.skipping = ledger.copying = True
    ledger.status = ord("E")
    ledger.clear()
    assert ledger.at_rest
    assert (False, False) == (ledger.skipping, ledger.copying)


# Bytes, transfer, transactions


def test_an_answer_is_charged_from_its_first_byte_on() -> None:
    ledger = ledger_of("QE")
    ledger.first_byte, ledger.passed = 3.0, 100
    first = ledger.requests.popleft()
    first.received = 30
    ledger.finish(first, 5.0)
    ledger.taken = ledger.passed = 140
    ledger.complete(5.0)  # in the same chunk
    one, other = sorted(ledger.scope.counts.take().counts, key=lambda count: -count.sent)
    assert (100, 30, 2e6, 4e6) == (one.sent, one.received, one.transfer_us, one.total_us)
    assert (40, 0, 0.0) == (other.sent, other.received, other.transfer_us)
    ledger.read(5.0)
    assert 0.0 == ledger.first_byte


def test_an_answer_that_began_before_its_statement_was_sent_is_not_its_own() -> None:
    ledger = ledger_of("E")
    ledger.first_byte = 0.5
    ledger.complete(2.0)
    assert [1e6] == [count.transfer_us for count in ledger.scope.counts.take().counts]


def test_what_ends_a_batch_belongs_to_its_last_statement() -> None:
    ledger = ledger_of("ES")
    ledger.passed = 50
    ledger.complete(2.0)
    ledger.passed = ledger.taken = 56
    ledger.synced()
    ledger.synced()
    assert ([56], 56) == ([c.sent for c in ledger.scope.counts.take().counts], ledger.charged)


def test_bytes_behind_the_last_request_are_its_own_or_the_nexts() -> None:
    ledger = ledger_of("Q")
    (request,) = ledger.requests
    ledger.received(5)
    ledger.runs(request, 25)
    ledger.received(32)
    ledger.mark, ledger.ahead = 0, True
    ledger.received(9)
    assert (37, 9) == (request.received, ledger.unassigned)
    ledger.clear()
    assert ledger.latest is None
    assert 0 == ledger.unassigned


def test_bytes_of_what_is_skipped_are_those_of_what_failed() -> None:
    ledger = ledger_of("EES")
    for request in ledger.requests:
        request.received = 20 if request.kind == module.EXECUTE else 0
    ledger.fail("22012", 2.0)
    ((sent, errors),) = [(c.received, c.errors) for c in ledger.scope.counts.take().counts]
    assert (40, {"22012": 1}) == (sent, errors)


def test_a_block_by_its_tags() -> None:
    ledger = ledger_of("QQ")
    begin, inner = ledger.requests
    ledger.mark_block(b"BEGIN\0", begin, 1.0)
    block = ledger.block
    ledger.mark_block(b"BEGIN\0", inner, 2.0)
    assert block is ledger.block
    ledger.finish(begin, 2.0)
    ledger.finish(inner, 3.0)
    ledger.mark_block(b"COMMIT\0", inner, 4.0)
    ledger.mark_block(b"ROLLBACK\0", inner, 5.0)
    ledger.end_block(6.0, failed=True)
    found = [(t.count, t.failed, t.statements) for t in ledger.scope.counts.take().transactions]
    assert [(1, 0, 1)] == found


def test_a_notice_does_not_end_a_blocks_idle_time() -> None:
    ledger = ledger_of("Q")
    begin = ledger.requests[0]
    ledger.mark_block(b"BEGIN\0", begin, 1.0)
    ledger.requests.clear()
    for now in (2.0, 3.0, 4.0):
        ledger.read(now)
    ledger.leave_block(5.0, 6.0, failed=False)
    (found,) = ledger.scope.counts.take().transactions
    assert (5e6, 3e6) == (found.total_us, found.idle_us)
