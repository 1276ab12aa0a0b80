"""Noted: which single statements are kept for the next report, and what is told of them."""

from __future__ import annotations

import pytest

from dbopt.gateway import noted
from dbopt.gateway.counts import Counts, Taken
from dbopt.gateway.noted import Run

TRACE = "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01"
TEXT = f"select 'x' /*card='4711',route='/a',traceparent='{TRACE}'*/".encode()


def run(took_us: float = 10.0) -> Run:
    return Run(took_us, 0.0, 0.0, 1, "", 7, 100, 200)


def taken(spans: bool, *runs: Run, text: bytes = TEXT, parameters: bool = False) -> Taken:
    counts = Counts(1.0, parameters, 100, 10, clock=lambda: 5.0, spans=spans)
    count = counts.scope("shop", "ann", "web").count(text)
    for each in runs:
        counts.note(count, text, each)
    return counts.take()


def test_a_slow_statement_has_its_tags() -> None:
    (slow,) = taken(False, run(2000.0)).slow
    assert ("/a", {"route": "/a", "traceparent": TRACE}) == (slow.route, slow.tags)
    assert ("select $1", TEXT.decode(), TRACE) == (slow.text, slow.sql, slow.traceparent)


def test_spans_are_kept_where_they_are_asked_for() -> None:
    found = taken(True, run(), run(2000.0))
    assert [(0.01, ""), (2.0, "")] == [(span.duration_ms, span.sql) for span in found.spans]
    assert [2.0] == [slow.duration_ms for slow in found.slow]
    assert [TRACE, TRACE] == [span.traceparent for span in found.spans]
    assert [] == taken(False, run(2000.0)).spans


@pytest.mark.parametrize("text", [b"select 1", TEXT.replace(b"-01'", b"-00'"), b"select 1 /*a*/"])
def test_what_is_not_sampled_is_no_span(text: bytes) -> None:
    assert [] == taken(True, run(), text=text).spans


@pytest.mark.parametrize(("parameters", "shown"), [(False, "select $1"), (True, TEXT.decode())])
def test_literals_are_shown_where_it_is_asked_for(parameters: bool, shown: str) -> None:
    assert [shown] == [s.text for s in taken(True, run(), parameters=parameters).spans]


def test_spans_are_bounded_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "_MAX_SPANS", 2)
    counts = Counts(1.0, False, 100, 10, spans=True)
    count = counts.scope("shop", "ann", "web").count(TEXT)
    for _ in range(5):
        counts.note(count, TEXT, run(2000.0))
    found = counts.take()
    assert (2, 5, 3) == (len(found.spans), len(found.slow), counts.noted.dropped)


def failed(took_us: float = 10.0, sqlstate: str = "22012") -> Run:
    return run(took_us)._replace(sqlstate=sqlstate)


def test_a_failed_statement_is_kept_without_the_text_as_it_ran() -> None:
    found = taken(False, run(), failed(), run(2000.0), failed(3000.0), failed(sqlstate="57014"))
    # The slow ones first; a plan is taken only of what has its text.
    assert [("", True), ("22012", True), ("22012", False), ("57014", False)] == [
        (slow.sqlstate, bool(slow.sql)) for slow in found.slow
    ]
    assert [TEXT.decode()] == [s.text for s in taken(False, failed(), parameters=True).slow]
    assert [] == found.spans


def test_failed_statements_are_bounded_by_the_second() -> None:
    now = 5.0
    counts = Counts(1.0, False, 100, 10, clock=lambda: now)
    count = counts.scope("shop", "ann", "web").count(TEXT)
    for number in range(8):
        for _ in range(6):  # of one SQLSTATE five, of all twenty
            counts.note(count, TEXT, failed(sqlstate=f"2200{number}"))
    counts.note(count, TEXT, failed(2000.0))
    found = counts.take().slow
    assert ["22012", *(f"2200{n}" for n in range(4) for _ in range(5))] == [
        s.sqlstate for s in found
    ]
    assert 28 == counts.noted.errors_dropped
    counts.note(count, TEXT, failed())
    assert (0, 29) == (len(counts.take().slow), counts.noted.errors_dropped)
    now = 6.0
    counts.note(count, TEXT, failed())
    assert (1, 29) == (len(counts.take().slow), counts.noted.errors_dropped)


def test_who_need_not_be_noted() -> None:
    counts = Counts(1.0, False, 100, 10)
    assert 1000.0 == counts.least_us
    counts.configure(2.0, False, n_plus_one=5, spans=True)
    assert (0.0, 5) == (counts.least_us, counts.n_plus_one)
    counts.configure(3.0, False, n_plus_one=5, spans=False)
    assert 3000.0 == counts.least_us


def test_a_report_in_parts() -> None:
    found = taken(True, *[run(2000.0)] * 5)
    parts = list(found.portions(2))
    assert [(2, 2), (2, 2), (1, 1)] == [(len(part.slow), len(part.spans)) for part in parts]
    assert [1] == [len(list(Taken([], [], [], [], []).portions(2)))]
