"""Guard: what the worker knows of which statements may run. The control process decides.

In mode enforce each statement is asked about once, by its fingerprint, and waits for the answer.
A statement that may run just so then costs nothing: its Count is not special, so it goes the
express way. In the other modes there is no Watch, and nothing here runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec
import structlog

from dbopt.clock import Clock, monotonic, wall
from dbopt.gateway.scopes import FINGERPRINTED, Count, Scope
from dbopt.guardsettings import GuardRules, guard_rules
from dbopt.settings import Settings
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.tags import tags
from dbopt.verdict import Question, Refusal, Verdict, unjudged

log = structlog.get_logger("dbopt.gateway")

LONGEST_JUDGED: Final = 1 << 20
"""Bytes. A longer statement is not asked about: `guard.fail` says what becomes of it."""
_MAX_VERDICTS: Final = 50_000
_MAX_REFUSALS: Final = 1000
_RETRY: Final = 1.0
"""Seconds after which a statement without a verdict is asked about anew."""
_SILENCE: Final = 10.0
"""Seconds for which no client waits for a verdict, once one did not come: any answer ends them."""
_UNSAFE_ENCODINGS: Final = frozenset(
    ("BIG5", "GBK", "GB18030", "JOHAB", "SJIS", "SHIFT_JIS_2004", "UHC")
)
"""A letter may end in the byte of a backslash there, so a string may not end where it seems to."""
_LEAST: Final = 0.1
"""Seconds that a verdict holds at least."""
_UNREAD: Final = b"\\"
"""A text with one is read otherwise by some clients' servers: each execution is looked at."""
_ENDINGS: Final = frozenset(
    first + second
    for first in (b"commit", b"rollback", b"end", b"abort")
    for second in (b"", b" work", b" transaction")
)
"""A client must always be able to end its transaction: these are not asked about."""
_FREE: Final = Verdict()

Key = tuple[int, str]
"""The fingerprint, and the route where routes have rules of their own."""


@dataclass(slots=True)
class _Pending:
    """A question that is not answered yet, and who waits for it.

    `stale`: what it was asked with may hold no more, so that it must be asked again. `answers` is
    how many had come when it was asked.
    """

    watch: Watch
    key: Key
    timer: asyncio.TimerHandle | None = None
    told: list[Callable[[], None]] = field(default_factory=list)
    stale: bool = False
    answers: int = 0


class Watch:
    """The verdicts for the statements of one Scope: (database, user, application)."""

    __slots__ = ("_guard", "_verdicts", "routed", "rules", "scope")

    def __init__(self, guard: Guard, scope: Scope, rules: GuardRules, routed: bool) -> None:
        self._guard = guard
        self.scope = scope
        self.rules = rules
        self.routed = routed
        self._verdicts: dict[Key, Verdict] = {}

    def mark(self, count: Count, text: bytes) -> None:
        """A text of a statement is new: whether it must go the general way."""
        # Of what is not told apart, or not read to its end, each text has a verdict of its own.
        alone = not count.fingerprint or len(text) > FINGERPRINTED or _UNREAD in text
        count.tagged = count.tagged or alone or (self.routed and _tagged(text))
        verdict = self._verdicts.get((count.fingerprint, "")) if self.rules.enforced else _FREE
        count.timeout = verdict.timeout if verdict is not None else 0.0
        count.special = count.effects or count.tagged or verdict is None or not verdict.plain

    def verdict(self, text: bytes, settings: dict[str, str]) -> Verdict | None:
        """What is known of a statement; None where it must be asked about.

        `settings` are the client's: they say how the server reads the text.
        """
        route = self._route(text)
        free = not (route or self.rules.enforced) or _is_ending(text)
        if not free and (misleading(text, settings) or len(text) > LONGEST_JUDGED):
            self._guard.unreadable += 1
            return self.failed(route, 0.0)
        key = self._number(text), route
        known = self._verdicts.get(key)
        if known is None and free:
            self.learn(key, _FREE)
            return _FREE
        if known is not None and 0.0 < known.expires <= self._guard.wall():
            return None
        return known

    def failed(self, route: str, expires: float) -> Verdict:
        """What guard.fail says of a statement of that route that has no verdict."""
        rules = self._rules(route)
        return unjudged(rules.enforced and rules.fails_closed, expires)

    def _rules(self, route: str) -> GuardRules:
        scope = self.scope
        if not route:
            return self.rules
        return guard_rules(
            self._guard.settings, scope.database, scope.user, scope.application, route
        )

    def ask(self, text: bytes, told: Callable[[], None]) -> None:
        """Ask about a statement; `told` is called when there is a verdict, of whatever kind."""
        sql = text.decode("utf-8", "replace")
        scope, key = self.scope, (self._number(text), self._route(text))
        question = Question(
            key[0] if len(text) <= FINGERPRINTED else fingerprint(sql[:FINGERPRINTED]),
            sql, scope.database, scope.user, scope.application, key[1],
        )  # fmt: skip
        self._guard.ask(self, key, question, told)

    def learn(self, key: Key, verdict: Verdict) -> None:
        """The verdict for a statement of this scope."""
        if key not in self._verdicts:
            self._guard.make_room()
        soon = self._guard.wall() + _LEAST
        if 0.0 < verdict.expires < soon:  # else it would be asked for without end
            verdict = msgspec.structs.replace(verdict, expires=soon)
        self._verdicts[key] = verdict
        if key[1]:
            return
        for count in self.scope.having(key[0]):
            count.timeout = verdict.timeout
            count.special = count.effects or count.tagged or not verdict.plain

    def forget(self, fingerprints: list[int]) -> int:
        """Ask about these anew, or about all; gives how many verdicts are left."""
        gone = set(fingerprints)
        for count in self.scope.every():
            if not gone or count.fingerprint in gone:
                count.special = True
        self._verdicts = (
            {key: found for key, found in self._verdicts.items() if key[0] not in gone}
            if gone
            else {}
        )
        return len(self._verdicts)

    def refuse(self, text: bytes, verdict: Verdict) -> None:
        """Note that a statement was refused."""
        self._guard.note(self.scope, self._number(text), self._route(text), verdict.rule)

    def _number(self, text: bytes) -> int:
        if len(text) > FINGERPRINTED:
            # Only so much of it is read for its fingerprint; what follows must count too.
            return int.from_bytes(blake2b(text, digest_size=8).digest())
        number = self.scope.count(text).fingerprint
        return number or fingerprint(text.decode("utf-8", "replace"))

    def _route(self, text: bytes) -> str:
        if not (self.routed and _tagged(text)):
            return ""
        route = tags(text.decode("utf-8", "replace")).get("route", "")
        return route if route in self._guard.settings.routes else ""


class Guard:
    """All Watches of a worker, and the questions that are under way.

    `send` takes a question's number and the question, and tells whether it could be sent.
    """

    def __init__(
        self,
        settings: Settings,
        send: Callable[[int, Question], bool],
        clock: Clock = monotonic,
        now: Clock = wall,
    ) -> None:
        self.settings = settings
        self.wall = now
        self.asked = self.unanswered = self.unreadable = 0
        self._send = send
        self._clock = clock
        self._next = 0
        self._rules_of = settings
        self._rules: dict[tuple[str, str, str], tuple[GuardRules, bool, bool]] = {}
        self._down_until = -1.0
        self._answers = self._size = 0
        self._pending: dict[int, _Pending] = {}
        self._numbers: dict[tuple[Watch, Key], int] = {}
        self._watches: dict[Scope, Watch] = {}
        self._refused: dict[tuple[int, str, str, str, str, str], int] = {}

    def watch(self, scope: Scope) -> Watch | None:
        """The Watch of a scope's statements; None where none is judged before it runs."""
        rules, routed, enforced = self._resolved(scope)
        if not enforced:
            self._watches.pop(scope, None)
            return None
        found = self._watches[scope] = Watch(self, scope, rules, routed)
        return found

    def _resolved(self, scope: Scope) -> tuple[GuardRules, bool, bool]:
        """The rules of a scope; whether routes have others; whether any of these are enforced.

        Kept by the sections that count: there may be a thousand applications that have none.
        """
        settings = self.settings
        if self._rules_of is not settings:
            self._rules_of, self._rules = settings, {}
        key = (
            scope.database if scope.database in settings.databases else "",
            scope.user if scope.user in settings.users else "",
            scope.application if scope.application in settings.applications else "",
        )
        found = self._rules.get(key)
        if found is None:
            rules = guard_rules(settings, *key)
            others = {guard_rules(settings, *key, route) for route in settings.routes} - {rules}
            enforced = any(each.enforced for each in (rules, *others))
            found = self._rules[key] = rules, bool(others), enforced
        return found

    def ask(self, watch: Watch, key: Key, question: Question, told: Callable[[], None]) -> None:
        """See Watch.ask. While no answers come, what is asked anew does not wait for one."""
        number = self._numbers.get((watch, key))
        if number is not None:
            self._pending[number].told.append(told)
            return
        self._next += 1
        self.asked += 1
        pending = self._pending[self._next] = _Pending(
            watch, key, told=[told], answers=self._answers
        )
        self._numbers[watch, key] = self._next
        wait = watch.rules.verdict_timeout
        if not self._send(self._next, question) or self._clock() < self._down_until:
            wait = 0.0
        loop = asyncio.get_running_loop()
        pending.timer = loop.call_later(wait, self._expired, self._next)

    def answered(self, number: int, verdict: Verdict) -> None:
        """The control process has answered a question."""
        self._down_until = -1.0
        self._answers += 1
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        if pending.timer is not None:
            pending.timer.cancel()
        self._tell(pending, verdict)

    def _expired(self, number: int) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return
        del self._pending[number]
        if pending.answers == self._answers:  # else it is this one statement that takes long
            self._down_until = self._clock() + _SILENCE
        self.unanswered += len(pending.told)
        self._tell(pending, pending.watch.failed(pending.key[1], self.wall() + _RETRY))

    def orphaned(self) -> None:
        """The control process is gone: guard.fail decides at once for all who wait."""
        for number, pending in list(self._pending.items()):
            if pending.timer is not None:
                pending.timer.cancel()
            self._expired(number)

    def _tell(self, pending: _Pending, verdict: Verdict) -> None:
        self._numbers.pop((pending.watch, pending.key), None)
        if not pending.stale:
            pending.watch.learn(pending.key, verdict)
        for told in pending.told:
            try:
                told()
            except Exception:  # the others must not wait for ever
                log.exception("a client failed when the guard had a verdict")

    def make_room(self) -> None:
        """Keep the verdicts of all scopes together bounded."""
        self._size += 1
        if self._size > _MAX_VERDICTS:
            self.forget([])

    def forget(self, fingerprints: list[int]) -> None:
        """See link.Forget."""
        for pending in self._pending.values():
            pending.stale = True
        self._size = sum(watch.forget(fingerprints) for watch in self._watches.values())

    def note(self, scope: Scope, number: int, route: str, rule: str) -> None:
        """One refusal, for the next report."""
        key = number, scope.database, scope.user, scope.application, route, rule
        if key in self._refused or len(self._refused) < _MAX_REFUSALS:
            self._refused[key] = self._refused.get(key, 0) + 1

    def take(self) -> list[Refusal]:
        """The refusals since the last call."""
        taken, self._refused = self._refused, {}
        return [Refusal(*key, calls) for key, calls in taken.items()]


def misleading(text: bytes, settings: dict[str, str]) -> bool:
    """Whether the server, with these settings, may read a text otherwise than we do."""
    if b"\\" in text and settings.get("standard_conforming_strings", "on") == "off":
        return True
    encoding = settings.get("client_encoding", "").upper()
    return encoding in _UNSAFE_ENCODINGS and not text.isascii()


def _is_ending(text: bytes) -> bool:
    return len(text) < 40 and text.strip(b"; \t\r\n").lower() in _ENDINGS


def _tagged(text: bytes) -> bool:
    return text.rstrip(b"; \t\r\n").endswith(b"*/")
