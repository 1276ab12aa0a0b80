"""A text, judged whole: fingerprint, kind, relations and complexity, by one parse."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from dbopt.sql.classify import Harmless, combine, judge
from dbopt.sql.complexity import DEFAULT_LIMIT, complexity_of
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.functions import is_harmless
from dbopt.sql.query import Query
from dbopt.sql.redact import redact


def analyze(text: str, limit: int = DEFAULT_LIMIT, harmless: Harmless = is_harmless) -> Query:
    """What dbopt knows of a text; `Query.text` is redacted. Never raises."""
    return _analyze(text, fingerprint(text), limit, harmless)


def _analyze(text: str, print_: int, limit: int, harmless: Harmless) -> Query:
    statements = judge(text, harmless)
    does = combine(judged.does for judged in statements)
    return Query(
        text=redact(text),
        fingerprint=print_,
        kind=does.kind,
        read_only=does.read_only,
        reads=does.reads,
        writes=does.writes,
        complexity=complexity_of(statements, limit),
        parsed=does.parsed,
    )


class Analyzer:
    """`analyze` with a memory: the last `capacity` queries by fingerprint. Safe in threads."""

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        capacity: int = 5000,
        harmless: Harmless = is_harmless,
    ) -> None:
        self._limit = limit
        self._capacity = capacity
        self._harmless = harmless
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
        query = _analyze(text, print_, self._limit, self._harmless)
        with self._lock:
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
