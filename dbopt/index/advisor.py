"""Index advice for a workload: candidates, proven or marked as not proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbopt.index.candidates import Candidate, candidates
from dbopt.index.prove import Proof, prove
from dbopt.index.workload import WorkloadQuery
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import Connection
from dbopt.settings import Index
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.indexdef import IndexDefinition


@dataclass(frozen=True, slots=True)
class Advice:
    """An index to make. `queries` are the fingerprints of the statements that it helps.

    Costs are the planner's, the mean of a call weighted by calls; `saving` is a share, 0 to 1;
    all are None where the advice is not proven. `covered_by_declared` names a declared index
    that does the same. `partitioned`: writers to its table wait while `create_sql` runs, unless
    the index was built concurrently in each partition before.
    """

    index: IndexDefinition
    queries: tuple[int, ...]
    reason: str
    cost_before: float | None = None
    cost_after: float | None = None
    saving: float | None = None
    size_bytes: int | None = None
    covered_by_declared: str | None = None
    partitioned: bool = False

    @property
    def table(self) -> str:
        """The table's name with its schema."""
        return f"{self.index.schema}.{self.index.table}"

    @property
    def create_sql(self) -> str:
        """The statement that makes it, without making anyone wait where PostgreSQL can do that."""
        return self.index.create_sql(concurrently=not self.partitioned) + ";"

    @property
    def proven(self) -> bool:
        """Whether the planner has been seen to use it."""
        return self.saving is not None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types, fingerprints as 16 hexadecimal digits."""
        return {
            "index": self.index.name,
            "table": self.table,
            "create_sql": self.create_sql,
            "queries": [fingerprint_hex(key) for key in self.queries],
            "proven": self.proven,
            "cost_before": _rounded(self.cost_before, 2),
            "cost_after": _rounded(self.cost_after, 2),
            "saving": _rounded(self.saving, 4),
            "size_bytes": self.size_bytes,
            "reason": self.reason,
            "covered_by_declared": self.covered_by_declared,
        }


def advise(
    connection: Connection,
    workload: Sequence[WorkloadQuery],
    catalog: Catalog,
    declared: Sequence[IndexDefinition],
    settings: Index,
    *,
    allow_lock: bool = False,
) -> list[Advice]:
    """Proven advice, the most saved first; raises as `dbopt.index.prove.prove` does.

    `declared` should be canonical, so that its expressions compare.
    """
    found = candidates(workload, catalog)
    proofs = prove(
        connection, workload, found, min_saving=settings.min_saving, allow_lock=allow_lock
    )
    return [_from_proof(proof, declared) for proof in proofs]


def suggest(
    workload: Sequence[WorkloadQuery], catalog: Catalog, declared: Sequence[IndexDefinition]
) -> list[Advice]:
    """Candidates without any proof, those for the most expensive statements first."""
    return [_from_candidate(c, declared) for c in candidates(workload, catalog)]


def _from_proof(proof: Proof, declared: Sequence[IndexDefinition]) -> Advice:
    definition = proof.candidate.definition
    return Advice(
        index=definition,
        queries=proof.helped,
        reason=proof.candidate.reason,
        cost_before=proof.cost_before,
        cost_after=proof.cost_after,
        saving=proof.saving,
        size_bytes=proof.size_bytes,
        covered_by_declared=_covering(definition, declared),
        partitioned=proof.candidate.partitioned,
    )


def _from_candidate(candidate: Candidate, declared: Sequence[IndexDefinition]) -> Advice:
    definition = candidate.definition
    return Advice(
        index=definition,
        queries=tuple(sorted(candidate.fingerprints)),
        reason=candidate.reason,
        covered_by_declared=_covering(definition, declared),
        partitioned=candidate.partitioned,
    )


def _covering(definition: IndexDefinition, declared: Sequence[IndexDefinition]) -> str | None:
    return next((one.name for one in declared if one.covers(definition)), None)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
