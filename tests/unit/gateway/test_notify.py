"""The shared listener: who is told what and when, with a server that answers as the test says."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest

from dbopt.errors import (
    AuthenticationError,
    ConnectError,
    DboptError,
    ListenRefused,
    ProtocolError,
    ServerLost,
    ServerRefused,
    ShuttingDown,
    TooManyChannels,
)
from dbopt.gateway import notify
from dbopt.gateway.notify import GRACE, IDLE_TIMEOUT, PATIENCE
from tests.unit.gateway.listen_stage import (
    READY,
    Client,
    Stage,
    complete,
    notification,
    refused,
    run,
    turn,
)


def test_done_is_called_when_the_server_listens() -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, b"news", client.done)
        wire = await stage.connected()
        assert ['LISTEN "news"'] == stage.queries()
        assert 1 == len(wire.writes)
        assert [] == client.told
        assert frozenset() == stage.listener.channels(client)
        answer = complete()
        await stage.answer(answer[:-6])
        assert [] == client.told  # the transaction is over when the server is ready
        await stage.answer(answer[-6:])
        assert [None] == client.told
        assert frozenset({b"news"}) == stage.listener.channels(client)

    run(play)


def test_done_is_called_at_once_for_who_hears_it_already() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"news")
        stage.listener.subscribe(client, b"news", client.done)
        assert [None] == client.told
        await turn()
        assert [] == stage.unanswered
        await stage.answer(notification(b"news"))
        assert [notification(b"news")] == client.heard

    run(play)


def test_what_was_notified_before_who_joins_has_asked_is_not_heard() -> None:
    """As in PostgreSQL, where LISTEN skips what is committed; here it may be on its way still."""

    async def play(stage: Stage) -> None:
        first = await stage.listening(b"news")
        second, third, fourth = Client(), Client(), Client()
        stage.listener.subscribe(second, b"news", second.done)
        stage.listener.subscribe(third, b"news", third.done)
        await turn()
        assert [""] == stage.unanswered, "one query for all of one turn"
        stage.listener.subscribe(fourth, b"news", fourth.done)
        await stage.answer(notification(b"news", b"old") + READY)
        assert ([None], [None], []) == (second.told, third.told, fourth.told)
        await stage.answer(notification(b"news", b"new"))
        assert [""] == stage.unanswered
        await stage.answer(READY)
        assert [None] == fourth.told
        heard = [len(client.heard) for client in (first, second, third, fourth)]
        assert [2, 1, 1, 0] == heard

    run(play)


def test_what_comes_in_one_turn_goes_out_in_one_write() -> None:
    async def play(stage: Stage) -> None:
        await stage.listening(b"first")
        clients = [Client() for _ in range(3)]
        for number, client in enumerate(clients):
            stage.listener.subscribe(client, b"c%d" % number, client.done)
            stage.listener.subscribe(client, b"shared", client.done)
        await turn()
        assert 1 == len(stage.wire.writes)
        expected = ['LISTEN "c0"', 'LISTEN "shared"', 'LISTEN "c1"', 'LISTEN "c2"']
        assert expected == stage.unanswered
        await stage.answer(complete() + complete())
        assert [[None, None], [None], [None]] == [client.told for client in clients]

    run(play)


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
def test_notifications_go_to_who_hears_their_channel(size: int) -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listening(b"a", b"b"), await stage.listening(b"b")
        sent = [notification(name, b"x" * 20) for name in (b"a", b"b", b"c", b"b")]
        data = b"".join(sent)
        for start in range(0, len(data), size):
            stage.backends[0].data_received(data[start : start + size])
        assert [sent[0], sent[1], sent[3]] == one.heard
        assert [sent[1], sent[3]] == two.heard
        assert (2, 2, 5) == stage.listener.snapshot

    run(play)


def test_who_has_left_hears_nothing() -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listening(b"a", b"b"), await stage.listening(b"a")
        stage.listener.unsubscribe(one, b"a")
        stage.listener.unsubscribe(two)
        await stage.answer(notification(b"a") + notification(b"b"))
        assert [notification(b"b")] == one.heard
        assert [] == two.heard
        assert (2, 1, 1) == stage.listener.snapshot

    run(play)


def test_one_who_leaves_when_another_is_notified_is_spared() -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listening(b"a"), await stage.listening(b"a")
        one.then = lambda: stage.listener.unsubscribe(two)
        await stage.answer(notification(b"a"))
        assert ([notification(b"a")], []) == (one.heard, two.heard)

    run(play)


def test_one_who_leaves_when_another_is_told_is_spared() -> None:
    async def play(stage: Stage) -> None:
        one, two = Client(), Client()
        for client in (one, two):
            stage.listener.subscribe(client, b"a", client.done)
        one.then = lambda: stage.listener.unsubscribe(two)
        await stage.connected()
        await stage.answer(complete())
        assert ([None], []) == (one.told, two.told)

    run(play)


def test_ones_failure_is_nobody_elses() -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listening(b"a"), await stage.listening(b"a")

        def fail() -> None:
            raise ZeroDivisionError

        one.then = fail
        await stage.answer(notification(b"a"))
        assert [notification(b"a")] == two.heard
        stage.listener.lose("So be it.")
        assert (1, 1) == (len(one.lost), len(two.lost))

    run(play)


# Leaving a channel


def test_a_channel_that_nobody_hears_is_left_after_a_grace() -> None:
    async def play(stage: Stage) -> None:
        client, other = await stage.listening(b"a", b"b"), await stage.listening(b"b")
        stage.listener.unsubscribe(client)
        await stage.pass_time(GRACE - 0.25)
        assert [] == stage.unanswered
        await stage.pass_time(0.25)
        assert ['UNLISTEN "a"'] == stage.unanswered
        assert (1, 1, 0) == stage.listener.snapshot
        assert frozenset({b"b"}) == stage.listener.channels(other)

    run(play)


def test_who_comes_back_within_the_grace_costs_one_turn() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        for _ in range(20):
            stage.listener.unsubscribe(client)
            await stage.pass_time(0.5)
            stage.listener.subscribe(client, b"a", client.done)
            await turn()
            assert [""] == stage.unanswered
            await stage.answer(READY)
        assert [None] * 20 == client.told
        await stage.pass_time(GRACE * 3)
        assert [] == stage.unanswered

    run(play)


def test_who_comes_when_it_is_just_left_is_listened_for_anew() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        stage.listener.unsubscribe(client)
        await stage.pass_time(GRACE + 0.25)
        stage.listener.subscribe(client, b"a", client.done)
        await turn()
        assert ['UNLISTEN "a"', 'LISTEN "a"'] == stage.unanswered
        await stage.answer(complete(b"UNLISTEN"))
        assert [] == client.told
        await stage.answer(complete())
        assert [None] == client.told

    run(play)


def test_leaving_while_the_listen_is_in_flight() -> None:
    async def play(stage: Stage) -> None:
        await stage.listening(b"a")
        one, two = Client(), Client()
        stage.listener.subscribe(one, b"b", one.done)
        stage.listener.unsubscribe(one, b"b")
        stage.listener.subscribe(two, b"c", two.done)
        stage.listener.unsubscribe(two)
        await turn()
        assert ['LISTEN "b"', 'LISTEN "c"'] == stage.unanswered
        stage.listener.subscribe(two, b"c", two.done)
        await stage.answer(complete() + complete())
        assert [""] == stage.unanswered, "it came after the LISTEN was sent"
        await stage.answer(READY)
        assert ([], [None]) == (one.told, two.told)
        await stage.pass_time(GRACE + 0.25)
        assert ['UNLISTEN "b"'] == stage.unanswered

    run(play)


def test_leaving_while_there_is_no_connection() -> None:
    async def play(stage: Stage) -> None:
        client, other = Client(), Client()
        for channel in (b"a", b"b", b"b", b"c" * 70):
            stage.listener.subscribe(client, channel, client.done)
        stage.listener.subscribe(other, b"b", other.done)
        assert (0, 2, 0) == stage.listener.snapshot
        stage.listener.unsubscribe(client, b"b")
        stage.listener.unsubscribe(client, b"c" * 63)
        await stage.connected()
        assert ['LISTEN "a"', 'LISTEN "b"'] == stage.unanswered
        await stage.answer(complete() + complete())
        assert ([None], [None]) == (client.told, other.told)

    run(play)


def test_long_names_are_one_channel_with_what_the_server_makes_of_them() -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, ("é" * 40).encode("latin-1"), client.done)
        await stage.connected("UTF8", "LATIN1")
        await stage.answer(complete())
        name = ("é" * 31).encode("latin-1")
        await stage.answer(notification(name))
        assert [notification(name)] == client.heard
        stage.listener.unsubscribe(client, ("é" * 40).encode("latin-1"))
        assert frozenset() == stage.listener.channels(client)

    run(play)


# What goes wrong


def test_a_refused_listen_is_nobody_elses() -> None:
    async def play(stage: Stage) -> None:
        good, bad = await stage.listening(b"a"), Client()
        stage.listener.subscribe(bad, b"b", bad.done)
        stage.listener.subscribe(good, b"c", good.done)
        await turn()
        await stage.answer(refused() + complete())
        [error] = bad.told
        assert isinstance(error, ListenRefused)
        assert "25006" == error.reported
        assert [None] == good.told
        assert (2, 1, 0) == stage.listener.snapshot
        stage.listener.subscribe(bad, b"b", bad.done)
        await turn()
        assert 'LISTEN "b"' == stage.unanswered[-1]

    run(play)


def test_a_zero_byte_is_refused_at_once() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        stage.listener.subscribe(client, b"a\0b", client.done)
        assert [ProtocolError] == [type(error) for error in client.told]

    run(play)


def test_a_loss_is_told_once_to_each() -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listening(b"a", b"b"), await stage.listening(b"b")
        waits = Client()
        for client in (one, waits):
            stage.listener.subscribe(client, b"c", client.done)
        backend = stage.backends[0]
        backend.connection_lost(None)
        await turn()
        for client in (one, two):
            [lost] = client.lost
            assert isinstance(lost, ServerLost)
            assert [] == client.told
        assert [] == waits.lost
        assert [ServerLost] == [type(error) for error in waits.told]
        assert [backend] == stage.seat.lost
        assert (0, 0, 0) == stage.listener.snapshot
        assert frozenset() == stage.listener.channels(one)
        stage.listener.unsubscribe(one)  # as its client is closed

    run(play)


def test_the_servers_reason_is_told() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        fatal = refused()[:-6].replace(b"ERROR", b"FATAL")
        stage.backends[0].data_received(fatal.replace(b"LISTEN", b"xxxxxx"))
        stage.backends[0].connection_lost(None)
        [error] = client.lost
        assert "cannot execute xxxxxx" in error.message

    run(play)


def test_the_next_subscription_connects_anew() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        stage.backends[0].connection_lost(None)
        client.told.clear()
        stage.listener.subscribe(client, b"a", client.done)
        await turn()
        assert 1 == len(stage.asked)  # not at once, in case it is lost each time
        await stage.pass_time(0.25)
        await stage.connected()
        await stage.answer(complete())
        assert [None] == client.told
        await stage.answer(notification(b"a"))
        assert [notification(b"a")] == client.heard

    run(play)


def test_ever_longer_between_attempts() -> None:
    async def play(stage: Stage) -> None:
        times = []
        for _ in range(200):
            client = Client()
            stage.listener.subscribe(client, b"a", client.done)
            await turn()
            if stage.asked and not stage.asked[-1].done():
                times.append(stage.now)
                await stage.failed(ConnectError("There is no server."))
            await stage.pass_time(0.25)
        gaps = [after - before for before, after in pairwise(times)]
        assert gaps[0] <= 0.5
        assert 4.0 <= gaps[-1] <= 6.0

    run(play)


def test_a_server_that_is_away_is_waited_for() -> None:
    async def play(stage: Stage) -> None:
        late, in_time = Client(), Client()
        stage.listener.subscribe(late, b"a", late.done)
        await stage.failed(ConnectError("There is no server."))
        await stage.pass_time(PATIENCE - 1)
        assert [] == late.told
        stage.listener.subscribe(in_time, b"a", in_time.done)
        while not stage.asked[-1].done():
            await stage.failed(ServerRefused("It starts up.", "57P03"))
        await stage.pass_time(1.25)
        assert ["It starts up."] == [cast(DboptError, error).message for error in late.told]
        while stage.asked[-1].done():
            await stage.pass_time(0.25)
        await stage.connected()
        await stage.answer(complete())
        assert [None] == in_time.told

    run(play)


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("The password is wrong."), ServerRefused("It does not exist.", "3D000")],
)
def test_a_server_that_refuses_is_not_waited_for(error: DboptError) -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, b"a", client.done)
        await stage.failed(error)
        assert [error] == client.told

    run(play)


def test_a_failure_of_ours_is_a_failed_attempt() -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, b"a", client.done)
        await stage.failed(ZeroDivisionError())
        await stage.pass_time(PATIENCE + 0.5)
        assert [ConnectError] == [type(error) for error in client.told]

    run(play)


def test_an_attempt_that_does_not_end() -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, b"a", client.done)
        await stage.pass_time(PATIENCE + 0.25)
        [error] = client.told
        assert "no connection within 5 s" in str(error)

    run(play)


def test_no_more_channels_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MAX_CHANNELS", 3)

    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a", b"b", b"c")
        other = Client()
        stage.listener.subscribe(other, b"d", other.done)
        assert [TooManyChannels] == [type(error) for error in other.told]
        stage.listener.subscribe(other, b"a", other.done)
        await turn()
        assert [""] == stage.unanswered
        await stage.answer(READY)
        assert None is other.told[-1]
        stage.listener.unsubscribe(client, b"b")
        stage.listener.subscribe(other, b"d", other.done)
        await turn()
        assert ['UNLISTEN "b"', 'LISTEN "d"'] == stage.unanswered
        await stage.answer(complete() + complete())
        assert None is other.told[-1]
        assert 3 == stage.listener.snapshot.channels

    run(play)


def test_no_more_wait_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MAX_QUEUED", 1)

    async def play(stage: Stage) -> None:
        one, two = Client(), Client()
        stage.listener.subscribe(one, b"a", one.done)
        stage.listener.subscribe(two, b"a", two.done)
        assert ([], [TooManyChannels]) == (one.told, [type(error) for error in two.told])

    run(play)


# The connection's life


def test_the_connection_is_closed_when_nobody_listens() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        await stage.pass_time(IDLE_TIMEOUT * 2)
        assert [] == stage.seat.lost
        stage.listener.unsubscribe(client)
        await stage.pass_time(GRACE + 0.25)
        await stage.answer(complete(b"UNLISTEN"))
        await stage.pass_time(IDLE_TIMEOUT - 2)
        assert [] == stage.seat.lost
        await stage.pass_time(1.5)
        assert stage.wire.lost
        assert b"X\0\0\0\4" == stage.wire.writes[-1]
        assert stage.backends == stage.seat.lost
        assert [] == client.lost
        stage.listener.subscribe(client, b"a", client.done)
        await stage.connected()
        assert ['LISTEN "a"'] == stage.unanswered

    run(play)


def test_close_tells_everyone() -> None:
    async def play(stage: Stage) -> None:
        hears, waits = await stage.listening(b"a"), Client()
        stage.listener.subscribe(waits, b"b", waits.done)
        await stage.listener.close()
        await turn()
        assert [ShuttingDown] == [type(error) for error in hears.lost]
        late = Client()
        stage.listener.subscribe(late, b"b", late.done)
        for client in (waits, late):
            assert [ShuttingDown] == [type(error) for error in client.told]
        assert stage.wire.lost
        assert stage.backends == stage.seat.lost
        stage.listener.tick(stage.now)

    run(play)


def test_close_while_it_connects() -> None:
    async def play(stage: Stage) -> None:
        client = Client()
        stage.listener.subscribe(client, b"b", client.done)
        await turn()
        await stage.listener.close()
        assert [ShuttingDown] == [type(error) for error in client.told]
        assert stage.asked[0].cancelled()

    run(play)


def test_close_of_one_that_was_never_used() -> None:
    async def play(stage: Stage) -> None:
        await stage.listener.close()
        stage.listener.lose("There is nothing to lose.")
        assert [] == stage.asked

    run(play)
