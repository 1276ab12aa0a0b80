"""The listener's connection: servers that are silent, that are gone, and that talk nonsense."""

from __future__ import annotations

import pytest

from dbopt.gateway.listen_line import ANSWER_TIMEOUT, CHECK_EVERY
from dbopt.wire import encode
from dbopt.wire import messages as m
from tests.unit.gateway.listen_stage import Client, Stage, complete, notification, run, turn


def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def play(stage: Stage) -> None:
        hears, waits = await stage.listening(b"a"), Client()
        stage.listener.subscribe(waits, b"b", waits.done)
        await stage.answer(notification(b"a"))  # that is no answer
        await stage.pass_time(ANSWER_TIMEOUT)
        assert [] == waits.told
        await stage.pass_time(0.25)
        [error] = waits.told
        assert "did not answer within 5 s" in str(error)
        assert 1 == len(hears.lost)
        assert stage.wire.lost
        assert stage.backends == stage.seat.lost

    run(play)


def test_a_silent_server_is_asked_whether_it_is_there() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        for _ in range(3):
            await stage.pass_time(CHECK_EVERY + 0.25)
            assert [""] == stage.unanswered
            await stage.answer(m.EmptyQueryResponse().encode() + encode.ready_for_query(b"I"))
        assert [] == client.lost
        await stage.pass_time(CHECK_EVERY + 0.25)
        await stage.pass_time(ANSWER_TIMEOUT + 0.5)
        assert 1 == len(client.lost)

    run(play)


def test_a_server_that_notifies_is_there() -> None:
    async def play(stage: Stage) -> None:
        await stage.listening(b"a")
        for _ in range(3):
            await stage.pass_time(CHECK_EVERY - 1)
            await stage.answer(notification(b"a"))
        assert [] == stage.unanswered

    run(play)


def test_other_messages_are_no_answers() -> None:
    async def play(stage: Stage) -> None:
        await stage.listening(b"a")
        client = Client()
        stage.listener.subscribe(client, b"b", client.done)
        await turn()
        await stage.answer(encode.notice("Hear, hear.") + encode.parameter_status("a", "b"))
        assert [] == client.told
        await stage.answer(complete())
        assert [None] == client.told

    run(play)


@pytest.mark.parametrize(
    ("nonsense", "said"),
    [
        (encode.ready_for_query(b"I"), "nobody sent"),
        (b"A\0\0\0\3", "impossible"),
        (b"A\0\0\0\x0b\0\0\0\7a\0b", "cannot be read"),
        (b"E\0\0\0\5S", "malformed"),
        (b"D" + (1 << 24).to_bytes(4) + bytes(2 << 20), "more than a megabyte"),
    ],
)
def test_nonsense_is_the_end(nonsense: bytes, said: str) -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        await stage.answer(nonsense + notification(b"a"))
        [error] = client.lost
        assert said in str(error)
        assert [] == client.heard
        assert stage.wire.lost
        assert stage.backends == stage.seat.lost

    run(play)


def test_nothing_is_heard_after_the_end() -> None:
    """The first whom it notifies has the listener closed."""

    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        client.then = lambda: stage.listener.lose("Enough.")
        await stage.answer(notification(b"a") * 3)
        assert [notification(b"a")] == client.heard
        assert "Enough." in str(client.lost[0])

    run(play)


def test_what_was_to_be_sent_is_not_sent_to_another_server() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listening(b"a")
        stage.listener.subscribe(client, b"b", client.done)
        stage.listener.lose("Enough.")
        await turn()
        assert [] == stage.unanswered

    run(play)
