"""Proof: each candidate is really built in a transaction that is rolled back, and EXPLAIN asked.

The choice follows Extend (Schlosser et al., "Efficient Scalable Multi-Attribute Index Selection
Using Recursive Strategies", ICDE 2019): start with none, add the one with the best saving by
size, look again at what the others would still save, until none saves enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbopt.errors import QueryFailed, UsageError
from dbopt.index.candidates import Candidate
from dbopt.index.workload import WorkloadQuery
from dbopt.pg import ddl
from dbopt.pg.connect import Connection
from dbopt.pg.explain import explain_sync
from dbopt.pg.plan import Plan
from dbopt.sql.typedparams import cast_typed_parameters

LOCK_TIMEOUT = 2.0
"""Seconds to wait for a table's SHARE lock: whoever writes must not queue behind us for long."""

_LOCAL_SETTINGS = {"lock_timeout": f"{LOCK_TIMEOUT}s", "maintenance_work_mem": "256MB"}

Plans = dict[int, Plan]


@dataclass(frozen=True, slots=True)
class Proof:
    """What one index adds to the others that are advised, for the statements that it helps:
    the mean planner cost of a call, weighted by calls, without it and with it; its size in bytes.
    """

    candidate: Candidate
    helped: tuple[int, ...]
    cost_before: float
    cost_after: float
    size_bytes: int

    @property
    def saving(self) -> float:
        """The share of the cost that is saved, 0 to 1."""
        return 1 - self.cost_after / self.cost_before if self.cost_before else 0.0


@dataclass(frozen=True, slots=True)
class _Gain:
    """What a candidate would save now: cost units over all calls, for each byte of it."""

    per_byte: float
    round: int


def prove(
    connection: Connection,
    queries: Sequence[WorkloadQuery],
    candidates: Sequence[Candidate],
    *,
    min_saving: float,
    allow_lock: bool = False,
) -> list[Proof]:
    """The candidates worth having together, the best first, proven on this server.

    Each CREATE INDEX holds a SHARE lock on its table until the final ROLLBACK: writes to it
    wait. So this is refused unless `allow_lock`: it is for an embedded or otherwise idle
    server. `connection` is in autocommit and in no transaction; nothing is left behind.
    Statements that cannot be explained are left out. `min_saving` is the share of its cost that
    a statement must save to count. Raises UsageError, and QueryFailed when a lock is not had.
    """
    if not allow_lock:
        raise UsageError(
            "Proving an index by building it makes writers wait, and was not allowed.",
            hint="Allow it on a server where nobody waits (--prove-with-locks).",
        )
    with connection.transaction(force_rollback=True):
        for name, value in _LOCAL_SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        trial = _Trial(connection, queries, min_saving)
        chosen = trial.choose(candidates)
        return trial.proofs(chosen)


class _Trial:
    """The state of one proof: the plans with what has been built so far."""

    def __init__(
        self, connection: Connection, queries: Sequence[WorkloadQuery], min_saving: float
    ) -> None:
        self._connection = connection
        self._queries = {query.fingerprint: query for query in queries}
        self._min_saving = min_saving
        self._before = self._explain_all(self._queries)
        self._now = dict(self._before)

    def choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The greedy choice. What a candidate saves rarely grows when others are added, so one
        that is still best when looked at again is taken without looking at the rest."""
        chosen: list[Candidate] = []
        gains = {c: self._gain(c, 0) for c in candidates}
        while open_ := [c for c, gain in gains.items() if gain.per_byte > 0]:
            best = max(open_, key=lambda c: (gains[c].per_byte, c.definition.name))
            if gains[best].round < len(chosen):
                gains[best] = self._gain(best, len(chosen))
                continue
            del gains[best]
            chosen = [*self._without_covered(chosen, best), best]
            self._build(best)
            self._now = self._explain_all(self._before)
        return chosen

    def proofs(self, chosen: Sequence[Candidate]) -> list[Proof]:
        """What each chosen index adds to the others. One that a later choice has made
        superfluous is given up, the least useful first."""
        found = [self._proof(candidate) for candidate in chosen]
        idle = [proof for proof in found if not proof.helped]
        if not idle:
            return sorted(found, key=lambda p: (-self._saved(p), p.candidate.definition.name))
        given_up = max(idle, key=lambda p: (p.size_bytes, p.candidate.definition.name)).candidate
        self._drop(given_up)
        self._now = self._explain_all(self._before)
        return self.proofs([c for c in chosen if c is not given_up])

    def _gain(self, candidate: Candidate, round_: int) -> _Gain:
        with self._connection.transaction(force_rollback=True):
            if not self._can_build(candidate):
                return _Gain(0.0, round_)
            touched = self._touching(candidate.definition.table)
            after = self._explain_all(touched)
            name = candidate.definition.name
            saved = sum(
                (self._now[key].total_cost - plan.total_cost) * self._queries[key].calls
                for key, plan in after.items()
                if name in plan.indexes and self._enough(self._now[key], plan)
            )
            return _Gain(saved / max(self._size(candidate), 1), round_)

    def _proof(self, candidate: Candidate) -> Proof:
        name, size = candidate.definition.name, self._size(candidate)
        using = [key for key, plan in self._now.items() if name in plan.indexes]
        with self._connection.transaction(force_rollback=True):
            self._drop(candidate)
            without = self._explain_all(using)
        helped = [key for key, plan in without.items() if self._enough(plan, self._now[key])]
        return Proof(
            candidate=candidate,
            helped=tuple(helped),
            cost_before=self._mean_cost(without, helped),
            cost_after=self._mean_cost(self._now, helped),
            size_bytes=size,
        )

    def _without_covered(self, chosen: list[Candidate], best: Candidate) -> list[Candidate]:
        """Drop from the trial what the new one covers: Extend's step from (a) to (a, b)."""
        covered = [c for c in chosen if best.definition.covers(c.definition)]
        for candidate in covered:
            self._drop(candidate)
        return [c for c in chosen if c not in covered]

    def _drop(self, candidate: Candidate) -> None:
        definition = candidate.definition
        ddl.drop(self._connection, definition.schema, definition.name, concurrently=False)

    def _build(self, candidate: Candidate) -> None:
        try:
            ddl.create(self._connection, candidate.definition, concurrently=False)
        except ddl.ServerError as error:
            raise ddl.translate(f'Trying the index "{candidate.definition.name}"', error) from None

    def _can_build(self, candidate: Candidate) -> bool:
        """Build it; False where its table's rows or types allow no such index, as a btree of
        values above 2.7 kB. One candidate must not cost the others their proof."""
        try:
            with self._connection.transaction():
                ddl.create(self._connection, candidate.definition, concurrently=False)
        except ddl.UNFIT:
            return False
        except ddl.ServerError as error:
            raise ddl.translate(f'Trying the index "{candidate.definition.name}"', error) from None
        return True

    def _size(self, candidate: Candidate) -> int:
        definition = candidate.definition
        found = ddl.find(self._connection, definition.schema, definition.name)
        return found.size_bytes if found else 0

    def _touching(self, table: str) -> list[int]:
        return [
            key
            for key, plan in self._before.items()
            if any(node.relation and node.relation.name == table for node in plan.nodes)
        ]

    def _explain_all(self, keys: Mapping[int, object] | Sequence[int]) -> Plans:
        plans: Plans = {}
        for key in keys:
            try:
                text = cast_typed_parameters(self._queries[key].text)
                plans[key] = explain_sync(self._connection, text)
            except (QueryFailed, UsageError):
                continue
        return plans

    def _enough(self, before: Plan, after: Plan) -> bool:
        return after.total_cost <= before.total_cost * (1 - self._min_saving)

    def _mean_cost(self, plans: Plans, keys: Sequence[int]) -> float:
        calls = sum(self._queries[key].calls for key in keys)
        costs = sum(plans[key].total_cost * self._queries[key].calls for key in keys)
        return costs / calls if calls else 0.0

    def _saved(self, proof: Proof) -> float:
        calls = sum(self._queries[key].calls for key in proof.helped)
        return (proof.cost_before - proof.cost_after) * calls
