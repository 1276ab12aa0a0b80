"""A text, judged whole: fingerprint, kind, relations and complexity, by one parse."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

from dbopt.sql.classify import Harmless, Judged, combine, judge
from dbopt.sql.columns import MOST_USES, uses_of_tree
from dbopt.sql.complexity import DEFAULT, DEFAULT_LIMIT, Weights, complexity_of
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.functions import is_harmless
from dbopt.sql.parse import LONGEST_READ
from dbopt.sql.query import ColumnUse, Query
from dbopt.sql.redact import redact
from dbopt.sql.schema import Schema


def analyze(
    text: str,
    limit: int = DEFAULT_LIMIT,
    harmless: Harmless = is_harmless,
    schema: Schema | None = None,
    weights: Weights = DEFAULT,
) -> Query:
    """What dbopt knows of a text; `Query.text` is redacted. Never raises.

    With a `schema` names mean what they mean there; without one they stay as they are written.
    """
    return _Judging(limit, harmless, schema, weights).query(text, fingerprint(text))


@dataclass(frozen=True, slots=True)
class _Judging:
    """What a text is judged by."""

    limit: int
    harmless: Harmless
    schema: Schema | None
    weights: Weights

    def query(self, text: str, print_: int) -> Query:
        """The query of a text whose fingerprint is known."""
        statements = judge(text, self.harmless, self.schema)
        does = combine(judged.does for judged in statements)
        return Query(
            text=redact(text),
            fingerprint=print_,
            kind=does.kind,
            read_only=does.read_only,
            reads=does.reads,
            writes=does.writes,
            complexity=complexity_of(
                statements, self.limit, weights=self.weights, schema=self.schema
            ),
            parsed=does.parsed,
            columns=_columns(statements, self.schema),
            statements=len(statements),
            unqualified=does.unqualified,
            ddl=does.ddl,
            deterministic=not any(doubt.random for doubt in does.doubts),
            uncacheable_because=tuple(dict.fromkeys(doubt.because for doubt in does.doubts)),
        )


def _columns(statements: list[Judged], schema: Schema | None) -> tuple[ColumnUse, ...]:
    """The uses of all statements; their sources are numbered on."""
    found: list[ColumnUse] = []
    first = 0
    for judged in statements:
        if judged.tree is not None and len(found) < MOST_USES:
            uses = uses_of_tree(judged.tree, schema)
            found += [replace(use, source=use.source + first) for use in uses] if first else uses
            first += max((use.source for use in uses), default=-1) + 1
    return tuple(found[:MOST_USES])


class Analyzer:
    """`analyze` with a memory: the last `capacity` queries by fingerprint. Safe in threads.

    `parsed` and `unparsed` count what was judged anew, by whether all of it could be read.
    """

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        capacity: int = 5000,
        harmless: Harmless = is_harmless,
        schema: Schema | None = None,
        weights: Weights = DEFAULT,
    ) -> None:
        self.parsed = self.unparsed = 0
        self._judging = _Judging(limit, harmless, schema, weights)
        self._capacity = capacity
        self._queries: OrderedDict[int, Query] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._queries)

    def analyze(self, text: str) -> Query:
        """The query of a text, from memory where its fingerprint is there. Never raises."""
        print_ = fingerprint(text)
        known = self.known(print_)
        if known is not None:
            return known
        query = self._judging.query(text, print_)
        with self._lock:
            self.parsed += query.parsed
            self.unparsed += not query.parsed
            if len(text) <= LONGEST_READ:
                # Else a DELETE behind a long comment, unread, would stand for each such DELETE.
                self._queries[print_] = query
            while len(self._queries) > self._capacity:
                self._queries.popitem(last=False)
        return query

    def known(self, print_: int) -> Query | None:
        """The query of a fingerprint if it is in memory."""
        with self._lock:
            query = self._queries.get(print_)
            if query is not None:
                self._queries.move_to_end(print_)
        return query
