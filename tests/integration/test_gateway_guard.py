"""The guard in the gateway: what a refusal, a limit and a lane are to a client."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from dbopt.guardsection import AppRoute
from dbopt.verdict import Question, Verdict
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    connected,
    describe,
    execute,
    parse,
    query,
    rows,
    run,
    shape,
    sqlstates,
)
from tests.support import wait_until

REFUSAL = Verdict(
    refused=True, rule="complexity", sqlstate="54001", message="Too complex.",
    detail="Score 120: 5 cross joins 120.", hint="Join on something.", score=120, grade="extreme",
)  # fmt: skip


def guarded(gateway: Gateway, **verdicts: Verdict) -> Gateway:
    """Statements that hold a word get its verdict, others may run."""

    async def judge(question: Question) -> Verdict:
        return next((v for word, v in verdicts.items() if word in question.text), Verdict())

    gateway.seen.verdict = judge
    return gateway


@pytest.fixture
def enforced(make_gateway: GatewayFactory) -> Gateway:
    return guarded(make_gateway(guard__mode="enforce", pool__max_size=2), nasty=REFUSAL)


@contextlib.contextmanager
def raw_client(gateway: Gateway) -> Iterator[Raw]:
    parts = psycopg.conninfo.conninfo_to_dict(gateway.settings.server.dsn)
    with connected(gateway.host, gateway.port) as raw:
        raw.login(user=str(parts["user"]), database=str(parts["dbname"]))
        yield raw


def test_a_refusal_is_postgresqls_error_with_the_guards_words(enforced: Gateway) -> None:
    with enforced.connect() as conn:
        with pytest.raises(psycopg.errors.StatementTooComplex) as caught:
            conn.execute("select 1 as nasty")
        said = caught.value.diag
        assert ("ERROR", "Too complex.", REFUSAL.detail, REFUSAL.hint) == (
            said.severity, said.message_primary, said.message_detail, said.message_hint,
        )  # fmt: skip
        assert (1,) == conn.execute("select 1").fetchone()


FORMS: dict[str, Callable[[], bytes]] = {
    "simple": lambda: query("select 1 nasty"),
    "extended": lambda: run("select 1 nasty") + SYNC,
    "named": lambda: run("select 1 nasty", name="s1") + SYNC,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_refusal_fails_the_transaction_as_postgresql_would(enforced: Gateway, form: str) -> None:
    with raw_client(enforced) as raw:
        assert "CZ" == shape(raw.ask(query("begin")))
        found = raw.ask(FORMS[form]())
        assert (["54001"], b"E") == (sqlstates(found), found[-1][1])
        assert ["25P02"] == sqlstates(raw.ask(query("select 2")))
        found = raw.ask(query("rollback"))
        assert ("CZ", b"I") == (shape(found), found[-1][1])


@pytest.mark.parametrize("form", FORMS)
def test_outside_a_transaction_a_refusal_leaves_the_session_idle(
    enforced: Gateway, form: str
) -> None:
    with raw_client(enforced) as raw:
        found = raw.ask(FORMS[form]())
        assert ("EZ", b"I") == (shape(found), found[-1][1])
        assert [(b"2",)] == rows(raw.ask(query("select 2")))


def test_in_a_pipeline_what_follows_a_refusal_is_skipped_up_to_its_sync(enforced: Gateway) -> None:
    with raw_client(enforced) as raw:
        data = (
            run("select 1")
            + run("select 2 nasty")
            + run("select 3")
            + SYNC
            + run("select 4")
            + SYNC
        )
        found = raw.ask(data, 2)
        assert "12TDCEZ12TDCZ" == shape(found)
        assert [(b"1",), (b"4",)] == rows(found)


def test_of_pipelined_queries_only_the_refused_one_fails(enforced: Gateway) -> None:
    with raw_client(enforced) as raw:
        found = raw.ask(query("select 1") + query("select 2 nasty") + query("select 3"), 3)
        assert [(b"1",), (b"3",)] == rows(found)
        assert ["54001"] == sqlstates(found)


def test_what_was_prepared_before_it_was_forbidden_is_refused_when_it_runs(
    enforced: Gateway,
) -> None:
    with raw_client(enforced) as raw:
        raw.ask(query("prepare by_sql as select 2 bad") + parse("select 1 bad", "s1") + SYNC, 2)
        runs = bind(name="s1") + describe("P") + execute() + SYNC
        assert "2TDCZ" == shape(raw.ask(runs))
        assert "TDCZ" == shape(raw.ask(query("execute by_sql")))
        guarded(enforced, bad=REFUSAL)
        enforced.forget()
        wait_until(lambda: "E" in shape(raw.ask(runs)), what="a refusal")
        assert ["54001"] == sqlstates(raw.ask(query("execute by_sql")))
        guarded(enforced)
        enforced.forget()
        wait_until(lambda: "2TDCZ" == shape(raw.ask(runs)), what="it may run again")
        assert "TDCZ" == shape(raw.ask(query("execute by_sql")))


def test_a_statement_is_asked_about_once(enforced: Gateway) -> None:
    with enforced.connect() as one, enforced.connect() as other:
        for number in range(20):
            one.execute(f"select {number} as n")
            other.execute("select %s as n", (number,))
    assert ["select 0 as n"] == [question.text for question in enforced.seen.questions]


def test_a_heavy_statement_waits_for_the_lane_and_light_ones_do_not(
    make_gateway: GatewayFactory,
) -> None:
    gateway = guarded(
        make_gateway(guard__mode="enforce", pool__max_size=4, guard__heavy_share=0.25),
        pg_sleep=Verdict(heavy=True, grade="complex"),
    )
    with gateway.connect() as holder, gateway.connect() as second, gateway.connect() as light:
        holder.execute("begin")
        holder.execute("select pg_sleep(0)")
        done = threading.Event()

        def heavy() -> None:
            second.execute("select pg_sleep(0)")
            done.set()

        thread = threading.Thread(target=heavy)
        thread.start()
        wait_until(lambda: gateway.pool.lane_waiting == 1, what="one that waits for the lane")
        assert (1,) == light.execute("select 1").fetchone()
        assert not done.is_set()
        holder.execute("commit")
        thread.join(10)
        assert done.is_set()
        pool = gateway.pool
        assert (1, 0, 0, 1) == (
            pool.lane_limit, pool.lane_active, pool.lane_waiting, pool.lane_waits,
        )  # fmt: skip


def test_who_waits_for_the_lane_too_long_is_told(make_gateway: GatewayFactory) -> None:
    gateway = guarded(
        make_gateway(
            guard__mode="enforce", pool__max_size=4, guard__heavy_share=0.25,
            gateway__queue_timeout=0.3,
        ),
        pg_sleep=Verdict(heavy=True),
    )  # fmt: skip
    with gateway.connect() as holder, gateway.connect() as second:
        holder.execute("begin")
        holder.execute("select pg_sleep(0)")
        with pytest.raises(psycopg.errors.TooManyConnections, match="heavy statements run"):
            second.execute("select pg_sleep(0)")
        assert (1,) == second.execute("select 1").fetchone()


def test_a_class_may_have_a_time_of_its_own(make_gateway: GatewayFactory) -> None:
    gateway = guarded(make_gateway(guard__mode="enforce"), pg_sleep=Verdict(timeout=0.3))
    with gateway.connect() as conn:
        for _ in range(2):
            with pytest.raises(psycopg.errors.QueryCanceled, match=r"longer than 0\.3 s"):
                conn.execute("select pg_sleep(30)")
        assert (1,) == conn.execute("select 1").fetchone()


async def _silent(_: Question) -> Verdict:
    await asyncio.sleep(3600)
    raise AssertionError


@pytest.mark.parametrize(("fail", "expected"), [("open", []), ("closed", ["58000"])])
def test_without_a_verdict_in_time_guard_fail_decides(
    make_gateway: GatewayFactory, fail: str, expected: list[str]
) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__fail=fail, guard__verdict_timeout=0.1)
    gateway.seen.verdict = _silent
    with raw_client(gateway) as raw:
        for sql in ("select 1", "select 1, 2"):
            assert expected == sqlstates(raw.ask(query(sql)))
    gateway.seen.next_frame()
    assert 2 == gateway.seen.snapshots[0].guard_unanswered


def test_refusals_are_reported_by_statement_and_rule(enforced: Gateway) -> None:
    with enforced.connect() as conn:
        for number in range(3):
            with pytest.raises(psycopg.errors.StatementTooComplex):
                conn.execute(f"select {number} as nasty")
    enforced.seen.next_frame()
    found: dict[str, int] = {}
    for refusal in enforced.seen.refusals:
        found[refusal.rule] = found.get(refusal.rule, 0) + refusal.calls
    assert {"complexity": 3} == found
    assert {"54001": 3} == enforced.seen.errors("nasty")


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_in_other_modes_nobody_is_asked(make_gateway: GatewayFactory, mode: str) -> None:
    gateway = guarded(make_gateway(guard__mode=mode), nasty=REFUSAL)
    with gateway.connect() as conn:
        assert (1,) == conn.execute("select 1 nasty").fetchone()
    assert [] == gateway.seen.questions


def test_a_reload_turns_the_guard_on_and_off(make_gateway: GatewayFactory) -> None:
    gateway = guarded(make_gateway(guard__mode="off"), nasty=REFUSAL)
    with raw_client(gateway) as raw:
        nasty = query("select 1 nasty")
        assert [] == sqlstates(raw.ask(nasty))
        gateway.reload(**{"guard.mode": "enforce"})
        wait_until(lambda: sqlstates(raw.ask(nasty)) == ["54001"], what="a refusal")
        gateway.reload(**{"guard.mode": "off"})
        wait_until(lambda: sqlstates(raw.ask(nasty)) == [], what="no refusal")


def test_an_expired_verdict_is_asked_for_anew(make_gateway: GatewayFactory) -> None:
    gateway = guarded(
        make_gateway(guard__mode="enforce"),
        nasty=Verdict(
            refused=True, rule="quarantine", sqlstate="42501", message="No.",
            expires=time.time() + 0.5,
        ),
    )  # fmt: skip
    with raw_client(gateway) as raw:
        assert ["42501"] == sqlstates(raw.ask(query("select 1 nasty")))
        guarded(gateway)
        wait_until(lambda: not sqlstates(raw.ask(query("select 1 nasty"))), what="its release")


def test_what_is_longer_than_a_fingerprint_reads_is_judged_whole(enforced: Gateway) -> None:
    padding = "/* " + "x" * 70_000 + " */"
    with raw_client(enforced) as raw:
        assert [(b"1",)] == rows(raw.ask(query(f"select 1 {padding}")))
        assert ["54001"] == sqlstates(raw.ask(query(f"select 1 {padding} nasty")))
        assert [(b"1",)] == rows(raw.ask(query(f"select 1 {padding}")))


def test_a_route_has_rules_of_its_own(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="off", routes={"/report": AppRoute(guard_mode="enforce")})

    async def judge(question: Question) -> Verdict:
        return REFUSAL if question.route == "/report" else Verdict()

    gateway.seen.verdict = judge
    with raw_client(gateway) as raw:
        for _ in range(2):
            assert [] == sqlstates(raw.ask(query("select 1")))
            tagged = query("select 1 /*route='%2Freport'*/")
            assert ["54001"] == sqlstates(raw.ask(tagged))
            assert [] == sqlstates(raw.ask(query("select 1 /*route='%2Fother'*/")))


# Rows


ROWS: dict[str, Callable[[str], bytes]] = {
    "simple": query,
    "extended": lambda sql: run(sql) + SYNC,
    "named": lambda sql: run(sql, name="s1") + SYNC,
}


@pytest.fixture
def limited(make_gateway: GatewayFactory) -> Gateway:
    return guarded(make_gateway(guard__mode="enforce", pool__max_size=1), big=Verdict(max_rows=10))


@pytest.mark.parametrize("count", [11, 20, 100_000, 3_000_000])
@pytest.mark.parametrize("form", ROWS)
def test_too_many_rows_are_an_error(limited: Gateway, form: str, count: int) -> None:
    with raw_client(limited) as raw:
        found = raw.ask(ROWS[form](f"select g as big from generate_series(1, {count}) g"))
        assert (10, ["54000"], b"I") == (len(rows(found)), sqlstates(found), found[-1][1])
        assert [(b"2",)] == rows(raw.ask(query("select 2")))


@pytest.mark.parametrize("count", [11, 3_000_000])
@pytest.mark.parametrize("form", ROWS)
def test_too_many_rows_fail_the_transaction(limited: Gateway, form: str, count: int) -> None:
    with raw_client(limited) as raw:
        raw.ask(query("begin"))
        found = raw.ask(ROWS[form](f"select g as big from generate_series(1, {count}) g"))
        assert (["54000"], b"E") == (sqlstates(found), found[-1][1])
        assert ["25P02"] == sqlstates(raw.ask(query("select 2")))
        assert b"I" == raw.ask(query("rollback"))[-1][1]
        assert [(b"2",)] == rows(raw.ask(query("select 2")))


@pytest.mark.parametrize("form", ROWS)
def test_as_many_rows_as_may_be_are_no_error(limited: Gateway, form: str) -> None:
    with raw_client(limited) as raw:
        found = raw.ask(ROWS[form]("select g as big from generate_series(1, 10) g"))
        assert (10, []) == (len(rows(found)), sqlstates(found))


def test_rows_are_counted_of_one_statement_in_a_pipeline(limited: Gateway) -> None:
    many, big = "from generate_series(1, 30) g", "from generate_series(1, 11) g"
    with raw_client(limited) as raw:
        data = (
            query(f"select 1 {many}") + query(f"select g as big {big}") + query(f"select 3 {many}")
            + run(f"select 4 {many}") + run(f"select g as big {big}") + run("select 5") + SYNC
            + run("select 6") + SYNC
        )  # fmt: skip
        found = raw.ask(data, 5)
        assert 30 + 10 + 30 + 30 + 10 + 1 == len(rows(found))
        assert (["54000", "54000"], b"6") == (sqlstates(found), rows(found)[-1][0])


def test_large_rows_are_dropped_wherever_a_chunk_ends(limited: Gateway) -> None:
    with raw_client(limited) as raw:
        sql = "select repeat('x', 300000) as big from generate_series(1, 40) g"
        for form in ROWS.values():
            found = raw.ask(form(sql))
            assert (10, ["54000"]) == (len(rows(found)), sqlstates(found))
            assert [(b"2",)] == rows(raw.ask(query("select 2")))
