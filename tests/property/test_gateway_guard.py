"""Whatever the guard says, and whoever leaves: nobody waits for ever, and each gets its answers."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.errors import QueueTimeout
from dbopt.gateway.relay import Relay
from dbopt.verdict import Verdict
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.support import examples
from tests.unit.gateway.guard_stage import GuardStage
from tests.unit.gateway.stage import Wire, directly, told

SYNC = m.Sync().encode()
WORDS = [b"wa", b"wb", b"wc", b"wd", b"we", b"begin", b"prepare"]
KINDS = ("plain", "plain", "heavy", "refused", "counted", "timed", "brief", "both")
VERDICTS = {
    "plain": Verdict(),
    "heavy": Verdict(heavy=True),
    "refused": Verdict(refused=True, rule="complexity", sqlstate="54001", message="No."),
    "counted": Verdict(max_rows=1),
    "timed": Verdict(timeout=60.0),
    "both": Verdict(heavy=True, max_rows=1),
}
_WORD = re.compile(rb"\b(wa|wb|wc|wd|we)\b")


class Judge:
    """Each word has its kind, and so each statement."""

    def __init__(self, chance: random.Random) -> None:
        self.kinds = {word: chance.choice(KINDS) for word in WORDS[:5]}
        self.kinds[b"begin"] = chance.choice(("plain", "heavy"))
        self.kinds[b"prepare"] = "plain"

    def kind(self, text: bytes) -> str:
        found = _WORD.search(text)
        word = found[0] if found else b"begin" if text == b"begin" else b"prepare"
        return self.kinds[word]

    def verdict(self, now: float) -> Callable[[str], Verdict]:
        def judge(text: str) -> Verdict:
            kind = self.kind(text.encode())
            return Verdict(expires=now + 0.5) if kind == "brief" else VERDICTS[kind]

        return judge

    def refuses(self, text: bytes) -> bool:
        return self.kind(text) == "refused"


@dataclass
class Script:
    """What one client sends, in parts, and what a server without a guard is sent instead."""

    judge: Judge
    chance: random.Random
    parts: list[bytes] = field(default_factory=list)
    own: list[bytes] = field(default_factory=list)
    names: int = 0

    def query(self, text: bytes) -> None:
        self.parts.append(m.Query(text).encode())
        self.own.append(m.Query(b"error" if self.judge.refuses(text) else text).encode())

    def batch(self) -> None:
        sent = own = b""
        for _ in range(self.chance.randint(1, 3)):
            text, name = b"select " + self.chance.choice(WORDS[:5]), b""
            if self.chance.random() < 0.5:
                self.names += 1
                name = b"s%d" % self.names
            run = m.Bind(b"", name, (), (), ()).encode() + m.Execute(b"").encode()
            sent += m.Parse(name, text).encode() + run
            own += m.Parse(name, b"bad" if self.judge.refuses(text) else text).encode() + run
        self.parts.append(sent + SYNC)
        self.own.append(own + SYNC)

    def again(self) -> None:
        name = b"s%d" % self.chance.randint(1, max(1, self.names))
        run = m.Bind(b"", name, (), (), ()).encode() + m.Execute(b"").encode() + SYNC
        self.parts.append(run)
        self.own.append(run)

    def by_sql(self) -> None:
        self.names += 1
        self.query(b"prepare p%d as select %s" % (self.names, self.chance.choice(WORDS[:5])))
        self.query(b"execute p%d" % self.names)

    def write(self) -> Script:
        chance = self.chance
        for _ in range(chance.randint(1, 6)):
            step = chance.choice((self.batch, self.again, self.by_sql, None, None))
            inside = chance.random() < 0.3
            if inside:
                self.query(b"begin")
            if step is None:
                self.query(b"select " + chance.choice(WORDS[:5]))
            else:
                step()
            if inside:
                self.query(b"rollback")
        self.query(b"rollback")
        return self


def shape(data: bytes) -> bytes:
    return bytes(kind for kind, _, _ in scan(data))


class Walk:
    """Clients at random on a stage."""

    def __init__(self, seed: int, mode: str) -> None:
        self.chance = chance = random.Random(seed)  # noqa: S311 - no secret
        self.judge = Judge(chance)
        self.mode = mode
        # In session mode each client keeps its own.
        backends = 5 if mode == "session" else chance.randint(1, 3)
        self.stage = GuardStage(backends, chance.randint(0, 2))
        self.stage.route = replace(self.stage.route, mode=mode)
        self.scripts = {
            self.stage.client(): Script(self.judge, chance).write()
            for _ in range(chance.randint(1, 5))
        }
        self.left = {relay: list(script.parts) for relay, script in self.scripts.items()}
        self.disturbed: set[Relay] = set()

    def send(self) -> None:
        relay = self.chance.choice(list(self.left))
        parts = self.left[relay]
        size = self.chance.choice((len(parts[0]), len(parts[0]), self.chance.randint(1, 30)))
        if not relay.closed and cast(Wire, relay.transport).reading:
            joined = parts[0] + (parts[1] if len(parts) > 1 and self.chance.random() < 0.2 else b"")
            if joined is not parts[0] and len(joined) > len(parts[0]):
                parts[:2] = [joined]
                size = len(joined)
            relay.data_received(parts[0][:size])
        parts[0] = parts[0][size:]
        if not parts[0]:
            del parts[0]
        if not parts:
            del self.left[relay]

    def deliver(self) -> None:
        self.stage.deliver(
            self.chance.choice(self.stage.backends), self.chance.choice((1, 7, 50, 1 << 30))
        )

    def answer(self) -> None:
        if self.stage.questions:
            number = self.chance.choice(list(self.stage.questions))
            self.stage.answer(self.judge.verdict(self.stage.now), number)

    def expire(self) -> None:
        harmless = [
            number
            for number, question in self.stage.questions.items()
            if not self.judge.refuses(question.text.encode())
        ]
        if harmless:
            self.stage.expire(self.chance.choice(harmless))

    def trouble(self) -> None:
        """Something that ends, or changes, what one client does; or all know less."""
        relay = self.chance.choice(list(self.scripts))
        what = self.chance.randrange(7)
        if what == 0 and not relay.closed:
            self.disturbed.add(relay)
            relay.connection_lost(None)
        elif what == 1 and not relay.closed:
            if relay.backend is None:
                self.disturbed.add(relay)
            relay.cancel()
        elif what == 2 and relay in self.stage.lane.waiting:
            self.disturbed.add(relay)
            self.stage.lane.forsake(relay)
            relay.refused(QueueTimeout("Too long."))
        elif what == 3:
            self.stage.guard.forget([])
        elif what == 4:
            self.stage.gate.counts.watch_with(self.stage.guard.watch)
        elif what == 5:
            self.stage.lane.limit = self.chance.randint(0, 3)
            self.stage.fill_lane()
        else:
            self.stage.now += self.chance.random()

    def run(self) -> None:
        steps = (
            self.send, self.send, self.send, self.deliver, self.deliver, self.answer, self.answer,
            self.expire,
        )  # fmt: skip
        while self.left:
            self.chance.choice((*steps, self.trouble) if self.chance.random() < 0.3 else steps)()
        for _ in range(10_000):
            self.stage.settle()
            if not self.stage.questions:
                break
            self.answer()
        self.check()

    def check(self) -> None:
        stage = self.stage
        assert (0, {}, []) == (stage.lane.inside, stage.lane.waiting, stage.waiting)
        kept = [r.backend for r in self.scripts if r.backend] if self.mode == "session" else []
        assert {id(b) for b in stage.backends} == {id(b) for b in [*stage.free, *kept]}
        assert {} == stage.guard._pending
        for relay, script in self.scripts.items():
            if relay not in self.disturbed:
                assert shape(directly(b"".join(script.own))) == shape(told(relay))
                assert not relay.closed
                assert cast(Wire, relay.transport).reading


@settings(max_examples=examples(400), deadline=None)
@given(seed=st.integers(0, 1 << 32), mode=st.sampled_from(["transaction", "session"]))
def test_a_random_walk(seed: int, mode: str) -> None:
    async def walk() -> None:
        Walk(seed, mode).run()

    asyncio.run(walk())
