"""Damage to a stream of messages, the same for the same seed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence

from dbopt.wire import types
from tests.fuzz.corpus import Capture

Messages = list[bytes]

LENGTHS = (0, 3, 4, -1, (1 << 31) - 1, 5, 0xFFFF, 1 << 29)
"""Length words that are wrong, or nearly."""
MOST = 24
"""Messages of a case: a window of a capture, so that a case is short and its end is reached."""

SEED = os.environ.get("FUZZ_SEED", "0")
ONLY = os.environ.get("FUZZ_CASE", "")
"""Numbers of the only cases to run, with commas."""


def case(number: int) -> random.Random:
    """The chance of one case: it depends on the seed and its number alone."""
    return random.Random(f"{SEED}:{number}")  # noqa: S311 - no secret


def numbers(count: int) -> list[int]:
    """The cases to run."""
    return [int(number) for number in ONLY.split(",")] if ONLY else list(range(count))


def again(test: str, failed: Sequence[int]) -> str:
    """The command that runs those cases of a test again."""
    listed = ",".join(map(str, failed))
    return f"FUZZ_SEED={SEED} FUZZ_CASE={listed} .venv/bin/python -m pytest '{test}'"


def _flip(chance: random.Random, found: Messages, at: int) -> None:
    damaged = bytearray(found[at])
    for _ in range(chance.randint(1, 3)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    found[at] = bytes(damaged)


def _truncate(chance: random.Random, found: Messages, at: int) -> None:
    found[at] = found[at][: chance.randrange(len(found[at]) + 1)]
    if chance.random() < 0.5:
        del found[at + 1 :]


def _duplicate(chance: random.Random, found: Messages, at: int) -> None:
    found[at:at] = [found[at]] * chance.choice((1, 1, 2, 9))


def _drop(chance: random.Random, found: Messages, at: int) -> None:
    del found[at]


def _swap(chance: random.Random, found: Messages, at: int) -> None:
    other = chance.randrange(len(found))
    found[at], found[other] = found[other], found[at]


def _length(chance: random.Random, found: Messages, at: int) -> None:
    message = found[at]
    if len(message) < 5:
        return
    true = int.from_bytes(message[1:5])
    wrong = chance.choice((*LENGTHS, true - 1, true + 1, true + 4, chance.randrange(1 << 16)))
    found[at] = message[:1] + (wrong & 0xFFFFFFFF).to_bytes(4) + message[5:]


def _type(chance: random.Random, found: Messages, at: int) -> None:
    known = chance.choice((types.F_SYNC, types.F_QUERY, types.F_PASSWORD, types.B_ERROR, 0))
    kind = chance.choice((known, chance.randrange(256)))
    found[at] = bytes([kind]) + found[at][1:]


def _shrink(chance: random.Random, found: Messages, at: int) -> None:
    """Cut the payload, and say so in the length: a whole message whose fields end early."""
    payload = found[at][5 : 5 + chance.randrange(len(found[at]) + 1)]
    found[at] = found[at][:1] + (len(payload) + 4).to_bytes(4) + payload


def _grow(chance: random.Random, found: Messages, at: int) -> None:
    """More payload, and a length that says so."""
    payload = found[at][5:] + chance.randbytes(chance.choice((1, 2, 4, 40, 11_000)))
    found[at] = found[at][:1] + (len(payload) + 4).to_bytes(4) + payload


def _end(chance: random.Random, found: Messages, at: int) -> None:
    """No string ends any more."""
    found[at] = found[at][:5] + found[at][5:].replace(b"\0", b"\1")


def _garbage(chance: random.Random, found: Messages, at: int) -> None:
    found.insert(at, chance.randbytes(chance.randint(1, 30)))


MUTATORS: tuple[Callable[[random.Random, Messages, int], None], ...] = (
    _flip, _flip, _truncate, _duplicate, _drop, _swap, _length, _type, _shrink, _grow, _end,
    _garbage,
)  # fmt: skip


def window(chance: random.Random, found: Sequence[bytes], most: int = MOST) -> Messages:
    """Some messages in a row."""
    start = chance.randrange(max(1, len(found) - most // 2))
    return list(found[start : start + chance.randint(1, most)])


def mutated(
    chance: random.Random, found: Messages, donors: Sequence[Capture], *, server: bool = False
) -> Messages:
    """`found` with damage, and at times with a part of another capture in it."""
    found = list(found)
    if chance.random() < 0.3:
        donor = chance.choice(donors)
        at = chance.randrange(len(found) + 1)
        found[at:at] = window(chance, donor.server if server else donor.client, 6)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        if found:
            at = chance.randrange(len(found))
            if found[at]:
                chance.choice(MUTATORS)(chance, found, at)
    return found


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """`data` in random pieces: whole, a few, or many short ones."""
    most = chance.choice((len(data) or 1, len(data) // 3 + 1, 7, 1000))
    found = []
    while data:
        size = chance.randint(1, most)
        found.append(data[:size])
        data = data[size:]
    return found
