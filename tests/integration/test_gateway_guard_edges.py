"""The guard where something else happens meanwhile: cancels, pipelines, reloads, a drain."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.verdict import Question, Verdict
from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    COPY_DONE,
    SYNC,
    bind,
    cancel,
    close,
    connected,
    copy_data,
    describe,
    execute,
    parse,
    query,
    rows,
    run,
    shape,
    sqlstates,
)
from tests.integration.test_gateway_guard import REFUSAL, guarded, raw_client
from tests.support import wait_until

BIG = "select g as big from generate_series(1, {}) g"


def enforcing(make_gateway: GatewayFactory, **given: object) -> Gateway:
    """nasty is refused, big has ten rows at most, slow is heavy."""
    gateway = make_gateway(guard__mode="enforce", **{"pool__max_size": 2, **given})
    return guarded(gateway, nasty=REFUSAL, big=Verdict(max_rows=10), pg_sleep=Verdict(heavy=True))


@pytest.fixture
def gateway(make_gateway: GatewayFactory) -> Gateway:
    return enforcing(make_gateway)


class Late:
    """Verdicts that come when they are let."""

    def __init__(self, gateway: Gateway, word: str, verdict: Verdict | None = None) -> None:
        self.word = word
        self.verdict = verdict or Verdict()
        self.asked = threading.Event()
        self._open = threading.Event()
        gateway.seen.verdict = self._judge

    async def _judge(self, question: Question) -> Verdict:
        if self.word not in question.text:
            return Verdict()
        self.asked.set()
        while not self._open.is_set():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.005)
        return self.verdict

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        assert self.asked.wait(10)


# What a client gets


def test_a_limited_query_behind_a_batch_without_a_sync(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        found = raw.ask(run("select 1") + query(BIG.format(20)))
        assert (11, ["54000"]) == (len(rows(found)), sqlstates(found))
        assert [(b"2",)] == rows(raw.ask(query("select 2")))


def test_a_limited_execute_of_sql_in_a_pipeline_changes_names_once(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        raw.ask(query("prepare small as select 1"))
        pipeline = [
            "select 1", "prepare p as " + BIG.format(3), "execute p", "select 2", "deallocate p",
            "execute p",
        ]  # fmt: skip
        for _ in range(3):  # the first time they wait for their verdicts
            found = raw.ask(b"".join(map(query, pipeline)), 6)
            assert "TDCZCZTDDDCZTDCZCZEZ" == shape(found)
            assert ["26000"] == sqlstates(found)


def test_of_several_statements_none_follows_the_one_with_too_many_rows(gateway: Gateway) -> None:
    """libpq takes a RowDescription for the end of the result before: it would be a good one."""
    with raw_client(gateway) as raw:
        for last in ("select 3", "", "begin", "copy (select 1) to stdout"):
            found = raw.ask(query(BIG.format(20) + ";" + last))
            assert "T" + "D" * 10 + "EZ" == shape(found)
            assert ["54000"] == sqlstates(found)
            raw.ask(query("rollback"))


def test_a_copy_from_the_client_behind_too_many_rows_is_ended(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        raw.ask(query("create table filled (n int)"))
        found = raw.ask(query(BIG.format(20) + "; copy filled from stdin"))
        assert ["54000"] == sqlstates(found)
        assert [(b"0",)] == rows(raw.ask(query("select count(*) from filled")))


def test_psycopg_gets_no_part_of_what_is_too_much(gateway: Gateway) -> None:
    with gateway.connect() as conn, pytest.raises(psycopg.errors.ProgramLimitExceeded):
        conn.execute(BIG.format(20) + "; select 1")


def test_a_cancel_that_comes_too_late_hits_nobody(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, pool__max_size=1, pool__mode="session")
    with raw_client(gateway) as raw:
        for _ in range(60):
            found = raw.ask(query(BIG.format(20_000)))
            assert (10, ["54000"]) == (len(rows(found)), sqlstates(found))
            assert [(b"2",)] == rows(raw.ask(query("select 2")))


def test_much_that_is_pipelined_behind_a_limited_query_is_read_on(
    make_gateway: GatewayFactory,
) -> None:
    gateway = enforcing(make_gateway, pool__max_size=1, pool__mode="session")
    with raw_client(gateway) as raw:
        raw.ask(query("select 1"))
        padding = "x" * 60_000
        more = [query(f"select '{padding}'::text is null")] * 100
        done: list[int] = []

        def read() -> None:
            done.append(len(rows(raw.until(b"Z", 101))))

        reader = threading.Thread(target=read)
        reader.start()
        raw.send(query("select 1 as big, pg_sleep(0.3)") + b"".join(more))
        reader.join(20)
        assert [101] == done


def test_a_refused_query_ends_the_unnamed_statement(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        raw.ask(parse("select 1") + SYNC)
        raw.ask(query("select 1 nasty"))
        assert ["26000"] == sqlstates(raw.ask(bind() + execute() + SYNC))


def test_a_refused_parse_that_is_skipped_leaves_the_unnamed_statement(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        raw.ask(parse("nasty") + SYNC)
        raw.ask(parse("no sql") + SYNC)
        raw.ask(parse("select 1") + SYNC)
        assert ["42601"] == sqlstates(raw.ask(parse("no sql", "x") + parse("nasty") + SYNC))
        assert [(b"1",)] == rows(raw.ask(bind() + execute() + SYNC))
        assert ["54001"] == sqlstates(raw.ask(parse("nasty") + SYNC))
        assert ["26000"] == sqlstates(raw.ask(bind() + execute() + SYNC))


@pytest.mark.parametrize(
    ("made", "used"), [("Foo", "foo"), ("foo", "FOO"), ('"Foo"', '"Foo"'), ('"a b"', '"a b"')]
)
def test_what_prepare_holds_is_found_by_its_name(gateway: Gateway, made: str, used: str) -> None:
    with raw_client(gateway) as raw:
        guarded(gateway)
        raw.ask(query(f"prepare {made} as select 1 bad"))
        guarded(gateway, bad=REFUSAL)
        gateway.forget()
        wait_until(
            lambda: sqlstates(raw.ask(query(f"execute {used}"))) == ["54001"], what="a refusal"
        )
        assert ["54001"] == sqlstates(raw.ask(run(f"execute {used}") + SYNC))
        assert ["54001"] == sqlstates(raw.ask(query(f"explain analyze execute {used}")))


def test_a_cursor_is_judged_when_it_is_declared(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        raw.ask(query("begin"))
        assert ["54001"] == sqlstates(raw.ask(query("declare c cursor for select 1 nasty")))
        raw.ask(query("rollback"))
        raw.ask(query("begin") + query("declare c cursor for select 7"), 2)
        assert [(b"7",)] == rows(raw.ask(query("fetch all from c")))


def test_a_copy_that_is_refused_takes_its_data_with_it(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        copy = query("copy nasty from stdin") + copy_data(b"1\n") + COPY_DONE
        assert "EZTDCZ" == shape(raw.ask(copy + query("select 1"), 2))
        assert "EZ" == shape(raw.ask(query("copy nasty from stdin")))
        assert "TDCZ" == shape(raw.ask(copy_data(b"1\n") + COPY_DONE + query("select 1")))


def test_a_backslash_is_judged_as_each_client_reads_it(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, guard__fail="closed")
    text = query(r"select '\'")
    with raw_client(gateway) as one, raw_client(gateway) as other:
        for _ in range(3):
            assert [(b"\\",)] == rows(one.ask(text))
        other.ask(query("set standard_conforming_strings = off"))
        assert ["58000"] == sqlstates(other.ask(text))
        assert [(b"\\",)] == rows(one.ask(text))


# Without a verdict


def test_a_transaction_can_be_ended_without_a_verdict(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, guard__fail="closed", guard__verdict_timeout=0.1)
    with raw_client(gateway) as raw:
        assert "CZ" == shape(raw.ask(query("begin")))

        async def silent(_: Question) -> Verdict:
            await asyncio.sleep(3600)
            raise AssertionError

        gateway.seen.verdict = silent
        assert ["58000"] == sqlstates(raw.ask(query("select 1, 2")))
        found = raw.ask(query("ROLLBACK;"))
        assert ("CZ", b"I") == (shape(found), found[-1][1])


def test_routes_that_fail_closed_leave_others_open(make_gateway: GatewayFactory) -> None:
    from dbopt.guardsection import AppRoute

    gateway = make_gateway(
        guard__mode="off", guard__fail="closed", guard__verdict_timeout=0.1,
        routes={"/report": AppRoute(guard_mode="enforce")},
    )  # fmt: skip

    async def silent(_: Question) -> Verdict:
        await asyncio.sleep(3600)
        raise AssertionError

    gateway.seen.verdict = silent
    with raw_client(gateway) as raw:
        assert [] == sqlstates(raw.ask(query("select 1")))
        assert ["58000"] == sqlstates(raw.ask(query("select 1 /*route='%2Freport'*/")))
        assert [] == sqlstates(raw.ask(query("select 1")))
    assert ["/report"] == [question.route for question in gateway.seen.questions]


def test_only_the_first_waits_for_a_control_process_that_is_silent(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__verdict_timeout=1.0)

    async def silent(_: Question) -> Verdict:
        await asyncio.sleep(3600)
        raise AssertionError

    gateway.seen.verdict = silent
    with raw_client(gateway) as raw:
        raw.ask(query("select 1"))
        began = time.monotonic()
        for number in range(50):
            raw.ask(query(f"select {', '.join('1' * (number + 2))}"))
        assert time.monotonic() - began < 20.0, "not a second each"


def test_a_cancel_takes_what_waits_for_its_verdict(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__verdict_timeout=30.0)
    late = Late(gateway, "slowly")
    with raw_client(gateway) as raw:
        raw.send(query("select 1 slowly"))
        late.wait()
        cancel(gateway.host, gateway.port, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        raw.send(query("select 2 slowly"))
        late.open()
        assert [(b"2",)] == rows(raw.until(b"Z"))
        assert [(b"3",)] == rows(raw.ask(query("select 3")))


def test_who_leaves_while_a_verdict_is_waited_for_is_gone(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__verdict_timeout=30.0, pool__max_size=1)
    late = Late(gateway, "slowly")
    with raw_client(gateway) as raw:
        raw.send(query("select 1 slowly"))
        late.wait()
    with raw_client(gateway) as other:
        wait_until(lambda: gateway.seen.snapshots[0].clients == 1, what="one that is gone")
        late.open()
        assert [(b"1",)] == rows(other.ask(query("select 1 slowly")))


def test_terminate_behind_what_waits_lets_it_run(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__verdict_timeout=30.0)
    late = Late(gateway, "slowly")
    with raw_client(gateway) as raw:
        raw.send(query("select 1 slowly") + m.Terminate().encode())
        late.wait()
        late.open()
        assert "TDCZ" == shape(raw.rest())


def test_a_reload_that_removes_the_guard_lets_go_who_waits(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__verdict_timeout=2.0)
    late = Late(gateway, "slowly", REFUSAL)
    with raw_client(gateway) as raw:
        raw.send(query("select 1 slowly"))
        late.wait()
        gateway.reload(**{"guard.mode": "off"})
        gateway.seen.next_frame()
        late.open()
        assert [(b"1",)] == rows(raw.until(b"Z"))


def test_a_new_application_name_has_its_own_rules(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(guard__mode="enforce")

    async def judge(question: Question) -> Verdict:
        return REFUSAL if question.application == "bad" else Verdict()

    gateway.seen.verdict = judge
    with raw_client(gateway) as raw:
        assert [] == sqlstates(raw.ask(query("select 1")))
        raw.ask(query("set application_name = 'bad'"))
        assert ["54001"] == sqlstates(raw.ask(query("select 1")))
        both = raw.ask(run("select 2") + SYNC + query("select 3"), 2)
        assert ["54001", "54001"] == sqlstates(both)


# The fastpath


def test_a_function_call_is_refused_where_only_reads_are_allowed(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(guard__mode="enforce", guard__read_only=True)
    with raw_client(gateway) as raw:
        (found,) = rows(raw.ask(query("select 'pg_backend_pid()'::regprocedure::oid")))
        call = m.FunctionCall(int(found[0] or 0)).encode()
        assert "EZ" == shape(answer := raw.ask(call))
        assert ["25006"] == sqlstates(answer)
        raw.ask(parse("select 5") + SYNC)
        assert "1EZ" == shape(raw.ask(parse("select 6", "x") + call))
        assert [(b"5",)] == rows(raw.ask(bind() + execute() + SYNC))
        gateway.reload(**{"guard.read_only": False})
        wait_until(lambda: "VZ" == shape(raw.ask(call)), what="it is allowed")


# The lane


FORMS: dict[str, Callable[[], bytes]] = {
    "simple": lambda: query("select pg_sleep(0)"),
    "extended": lambda: run("select pg_sleep(0)") + SYNC,
    "after a Close": lambda: close("S", "x") + run("select pg_sleep(0)") + SYNC,
    "named": lambda: bind(name="s") + describe("P") + execute() + SYNC,
    "by SQL": lambda: query("execute p"),
    "by SQL, extended": lambda: run("execute p") + SYNC,
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_go_by_the_lane(make_gateway: GatewayFactory, form: str) -> None:
    gateway = enforcing(make_gateway, pool__max_size=4, guard__heavy_share=0.25)
    with raw_client(gateway) as holder, raw_client(gateway) as raw:
        raw.ask(query("prepare p as select pg_sleep(0)"))
        raw.ask(parse("select pg_sleep(0)", "s") + SYNC)
        raw.ask(FORMS[form]())
        holder.ask(query("begin") + query("select pg_sleep(0)"), 2)
        raw.send(FORMS[form]())
        wait_until(lambda: gateway.pool.lane_waiting == 1, what="one that waits for the lane")
        holder.ask(query("commit"))
        assert "D" in shape(raw.until(b"Z"))
        wait_until(lambda: gateway.pool.lane_active == 0, what="an empty lane")


def test_a_cancel_takes_one_out_of_the_lane(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, pool__max_size=4, guard__heavy_share=0.25)
    with raw_client(gateway) as holder, raw_client(gateway) as raw, raw_client(gateway) as third:
        holder.ask(query("begin") + query("select pg_sleep(0)"), 2)
        raw.send(query("select pg_sleep(0)"))
        wait_until(lambda: gateway.pool.lane_waiting == 1, what="one that waits for the lane")
        third.send(query("select pg_sleep(0)"))
        wait_until(lambda: gateway.pool.lane_waiting == 2, what="two that wait for the lane")
        cancel(gateway.host, gateway.port, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        holder.ask(query("commit"))
        assert "TDCZ" == shape(third.until(b"Z"))
        pool = gateway.pool
        assert (0, 0) == (pool.lane_active, pool.lane_waiting)


def test_many_that_leave_the_lane_at_once_do_not_nest(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, pool__max_size=4, guard__heavy_share=0.25)
    with raw_client(gateway) as holder:
        holder.ask(query("begin") + query("select pg_sleep(0)"), 2)
        clients = [connected(gateway.host, gateway.port) for _ in range(250)]
        raws = [client.__enter__() for client in clients]
        parts = conninfo_to_dict(gateway.settings.server.dsn)
        for raw in raws:
            raw.login(user=str(parts["user"]), database=str(parts["dbname"]))
            raw.send(query("select pg_sleep(0)"))
        wait_until(lambda: gateway.pool.lane_waiting == 250, what="all wait for the lane")
        guarded(gateway, pg_sleep=REFUSAL)
        gateway.forget()
        gateway.seen.next_frame()
        holder.ask(query("commit"))
        assert [["54001"]] * 250 == [sqlstates(raw.until(b"Z")) for raw in raws]
        for client in clients:
            client.__exit__(None, None, None)
        wait_until(lambda: gateway.pool.lane_active == 0, what="an empty lane")


def test_who_waits_for_the_lane_is_served_when_the_gateway_drains(
    make_gateway: GatewayFactory,
) -> None:
    gateway = enforcing(
        make_gateway, pool__max_size=4, guard__heavy_share=0.25, gateway__shutdown_timeout=10.0
    )
    with raw_client(gateway) as holder, raw_client(gateway) as raw:
        holder.ask(query("begin") + query("select pg_sleep(0)"), 2)
        raw.send(query("select pg_sleep(0)"))
        wait_until(lambda: gateway.pool.lane_waiting == 1, what="one that waits for the lane")
        drained = gateway.start_drain()
        holder.ask(query("commit"))
        assert "TDCZ" == shape(raw.until(b"Z"))
        drained.result(15)


def test_two_workers_each_ask(make_gateway: GatewayFactory) -> None:
    gateway = enforcing(make_gateway, gateway__workers=2)
    refused = 0
    for _ in range(12):
        with raw_client(gateway) as raw:
            refused += len(sqlstates(raw.ask(query("select 1 nasty"))))
    assert 12 == refused
    seen = gateway.seen
    wait_until(lambda: sum(one.calls for one in list(seen.refusals)) == 12, what="all refusals")
    assert len(gateway.seen.questions) <= 2


def test_a_worker_that_is_started_anew_asks_anew(gateway: Gateway) -> None:
    with raw_client(gateway) as raw:
        assert ["54001"] == sqlstates(raw.ask(query("select 1 nasty")))
    (before,) = gateway.pids
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: gateway.pids and gateway.pids != [before], what="another worker")
    with raw_client(gateway) as raw:
        assert ["54001"] == sqlstates(raw.ask(query("select 1 nasty")))
    assert 2 == len(gateway.seen.questions)
