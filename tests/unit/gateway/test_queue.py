"""The fair queue, simulated: shares by weight, nobody starves, in order within an application."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable

import pytest

from dbopt.gateway.queue import MOST, FairQueue, Ticket

Client = tuple[str, int]
"""Application and number."""


class Simulation:
    """A closed world: each client asks again as soon as it is done.

    `clients` and `seconds` are by application: how many there are, and how long a transaction
    of theirs takes. Leases that run are charged at each `tick`, as the pool does.
    """

    def __init__(
        self,
        clients: dict[str, int],
        seconds: dict[str, Callable[[], float]],
        weights: dict[str, float] | None = None,
        backends: int = 4,
        tick: float = 0.25,
    ) -> None:
        self.queue: FairQueue[Client] = FairQueue(weights or {})
        self.seconds = seconds
        self.used: defaultdict[str, float] = defaultdict(float)
        self.served: Counter[str] = Counter()
        self.longest: defaultdict[str, float] = defaultdict(float)
        self.now = 0.0
        self._tick = self._next_tick = tick
        self._running: list[tuple[float, int, Client, Ticket | None]] = []
        self._number = 0
        self._free = backends
        self._orders: dict[str, deque[Client]] = {name: deque() for name in clients}
        for name, count in clients.items():
            for number in range(count):
                self.ask((name, number))

    def ask(self, client: Client) -> None:
        self.queue.push(client, client[0], self.now)
        self._orders[client[0]].append(client)

    def step(self) -> None:
        """All that is free is given away; then the next transaction ends."""
        while self._free and self.queue.waiting:
            client, since, ticket = self.queue.pop(self.now)
            assert self._orders[client[0]].popleft() == client
            self.longest[client[0]] = max(self.longest[client[0]], self.now - since)
            took = self.seconds[client[0]]()
            self.used[client[0]] += took
            heapq.heappush(self._running, (self.now + took, self._number, client, ticket))
            self._number += 1
            self._free -= 1
        end, _, client, ticket = heapq.heappop(self._running)
        while self._next_tick < end:
            for running in [ticket, *(lease[3] for lease in self._running)]:
                if running is not None:
                    self.queue.charge(running, self._next_tick, over=False)
            self._next_tick += self._tick
        self.now = end
        if ticket is not None:
            self.queue.charge(ticket, end, over=True)
        self.served[client[0]] += 1
        self._free += 1
        self.ask(client)

    def run(self, steps: int) -> Simulation:
        for _ in range(steps):
            self.step()
        return self

    def share(self, application: str) -> float:
        return self.used[application] / sum(self.used.values())


def fixed(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def about(seconds: float, seed: int) -> Callable[[], float]:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return lambda: chance.expovariate(1 / seconds)


@pytest.mark.parametrize(
    ("clients", "seconds", "weights"),
    [
        ({"a": 10, "b": 10}, {"a": 0.01, "b": 0.01}, {}),
        ({"many": 200, "few": 5}, {"many": 0.01, "few": 0.01}, {}),
        ({"long": 10, "short": 10}, {"long": 1.0, "short": 0.005}, {}),
        ({"a": 10, "b": 10, "c": 10}, {"a": 0.01, "b": 0.02, "c": 0.03}, {"a": 2.0, "c": 0.5}),
        ({"web": 20, "batch": 50}, {"web": 0.005, "batch": 0.5}, {"web": 9.0}),
    ],
    ids=["alike", "many clients", "long transactions", "weights", "all"],
)
@pytest.mark.parametrize("chance", [False, True], ids=["fixed", "random"])
def test_backend_time_is_shared_by_weight(
    clients: dict[str, int], seconds: dict[str, float], weights: dict[str, float], chance: bool
) -> None:
    takes = {
        name: about(took, seed) if chance else fixed(took)
        for seed, (name, took) in enumerate(seconds.items())
    }
    seen = Simulation(clients, takes, weights).run(20_000)
    total = sum(weights.get(name, 1.0) for name in clients)
    for name in clients:
        expected = weights.get(name, 1.0) / total
        assert pytest.approx(expected, rel=0.05) == seen.share(name), (name, seen.used)


def test_long_transactions_leave_backends_to_short_ones_from_the_start() -> None:
    """An application's first leases are paid when they begin, as soon as one is known."""
    seen = Simulation({"long": 50, "short": 4}, {"long": fixed(1.0), "short": fixed(0.001)})
    seen.run(5000)
    assert 2.1 > seen.longest["short"]


def test_nobody_starves() -> None:
    """The lowest weight there may be, beside many of the highest."""
    weights = {"light": 0.001, "heavy": 1000.0}
    takes = {"light": fixed(0.001), "heavy": fixed(0.001)}
    seen = Simulation({"light": 1, "heavy": 100}, takes, weights)
    seen.queue.push(("light", -1), "light", 0.0)
    assert ("light", 0) in [seen.queue.pop(0.0)[0] for _ in range(2)]
    weights["light"] = 1.0
    takes = {"light": fixed(0.01), "heavy": fixed(0.01)}
    assert 10 <= Simulation({"light": 1, "heavy": 100}, takes, weights).run(20_000).served["light"]


def test_one_application_is_first_in_first_out() -> None:
    chance = random.Random(5)  # noqa: S311 - no secret
    queue: FairQueue[int] = FairQueue({})
    expected: deque[int] = deque()
    for number in range(5000):
        now = number / 100
        move = chance.random()
        if move < 0.5:
            queue.push(number, "app", now)
            expected.append(number)
        elif move < 0.9 and expected:
            got, since, ticket = queue.pop(now)
            assert (expected.popleft(), got / 100) == (got, since)
            assert None is ticket
        elif expected:
            left = chance.choice(expected)
            expected.remove(left)
            assert queue.remove(left)
        assert list(expected) == list(queue.waiting)


def test_applications_that_used_alike_go_by_who_waits_longest() -> None:
    queue: FairQueue[str] = FairQueue({})
    for number, name in enumerate("cab"):
        queue.push(name, name, number)
    assert ["c", "a", "b"] == [queue.pop(9.0)[0] for _ in range(3)]


def test_who_was_away_has_saved_nothing_up() -> None:
    simulation = Simulation({"a": 4, "b": 0}, {"a": fixed(1.0), "b": fixed(1.0)}, backends=1)
    simulation.run(100)
    for number in range(20):
        simulation.ask(("b", number))
    before = dict(simulation.served)
    simulation.run(20)
    assert 8 <= simulation.served["a"] - before["a"] <= 12


def test_a_newcomer_does_not_wait_for_the_debts_of_others() -> None:
    simulation = Simulation({"a": 50, "b": 0}, {"a": fixed(1.0), "b": fixed(1.0)}, backends=1)
    simulation.run(100)
    simulation.ask(("b", 0))
    simulation.run(2)
    assert 1 == simulation.served["b"]


def test_time_counts_only_while_somebody_waits() -> None:
    queue: FairQueue[str] = FairQueue({})
    ticket = queue.begin("a", 0.0)
    queue.push("b1", "b", 100.0)  # nobody had waited for 100 s
    queue.push("a2", "a", 100.0)
    queue.charge(ticket, 101.0, over=True)
    assert 1.0 == ticket.used
    assert "b1" == queue.pop(101.0)[0]


def test_a_lease_that_overpaid_is_paid_back() -> None:
    queue: FairQueue[str] = FairQueue({})
    queue.push("stays", "other", 0.0)
    for number, took in enumerate((10.0, 0.0)):
        queue.push("a", "a", number * 20.0)
        queue.remove("stays")
        _, _, ticket = queue.pop(number * 20.0)
        assert ticket is not None
        queue.push("stays", "other", number * 20.0)
        queue.charge(ticket, number * 20.0 + took, over=True)
    assert 10.0 == queue._lines["a"].virtual
    assert pytest.approx(1.6) == queue._lines["a"].usual


def test_a_running_lease_is_charged_at_each_look() -> None:
    queue: FairQueue[str] = FairQueue({"a": 2.0})
    queue.push("w", "w", 0.0)
    ticket = queue.begin("a", 0.0)
    for now in (1.0, 2.0, 4.0):
        queue.charge(ticket, now, over=False)
        assert now / 2 == queue._lines["a"].virtual
    queue.charge(ticket, 6.0, over=True)
    assert (3.0, 6.0) == (queue._lines["a"].virtual, ticket.used)


def test_old_use_is_forgiven_when_nobody_waits() -> None:
    queue: FairQueue[str] = FairQueue({})
    queue.push("a", "a", 0.0)
    queue.forgive()
    assert 1 == len(queue._lines)
    queue.pop(0.0)
    queue.forgive()
    assert {} == queue._lines


def test_names_are_bounded_and_those_with_a_weight_are_told_apart() -> None:
    queue: FairQueue[int] = FairQueue({"web": 3.0})
    for number in range(10 * MOST):
        queue.push(number, f"app - 10.0.0.{number}", 0.0)
    queue.push(-1, "web", 0.0)
    assert MOST + 2 == len(queue._busy)
    assert sorted(queue.waiting) == sorted(queue.pop(1.0)[0] for _ in range(10 * MOST + 1))
    for number in range(10 * MOST):
        queue.push(number, f"other{number}", 2.0)
        queue.pop(2.0)
    assert 2 * MOST + 1 >= len(queue._lines)
    assert {} == queue._busy
    queue.push(0, "again", 2.0)
    queue.forget(11.0)
    assert 10 < len(queue._lines)
    queue.forget(13.0)
    assert ["again"] == list(queue._lines)


def test_who_does_not_wait_cannot_be_removed() -> None:
    assert not FairQueue[str]({}).remove("nobody")
