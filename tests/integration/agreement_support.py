"""The corpus of statements that the server and our fingerprint must tell apart alike."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import ExecStatus

from dbopt.sql.fingerprint import fingerprint

HERE = Path(__file__).parent
_VARIABLE = re.compile("⟦(.*?)¦(.*?)⟧")
_PARAMETER = re.compile(r"(?<!')\$([0-9])")
_ALONE = re.compile(
    "vacuum|discard|alter system|begin|start|commit|end|abort|rollback(?! to)|set transaction"
    "|.*concurrently",
    re.IGNORECASE,
)
"""What is not run within a transaction of ours."""
_TRACK = "set pg_stat_statements.track = "
_FINE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY}


class Case(NamedTuple):
    """Two texts of one line, and why the two sides may disagree about them."""

    one: str
    other: str
    why: str

    @property
    def same(self) -> bool:
        return fingerprint(self.one) == fingerprint(self.other)

    @property
    def new(self) -> bool:
        """Whether servers before 18 see it otherwise, or cannot run it."""
        return self.why.startswith("before 18: ")

    @property
    def disputed(self) -> bool:
        return bool(self.why) and not self.new


def cases() -> list[Case]:
    """Every line of the corpus."""
    rows = (HERE / "data_sql_agreement.tsv").read_text(encoding="utf-8").splitlines()
    return [_case(*row.partition("\t")) for row in rows if row[0] != "#"]


def _case(text: str, _tab: str, why: str) -> Case:
    one, other = (_VARIABLE.sub(rf"\{n}", text).replace("␤", "\n") for n in (1, 2))
    return Case(one, other, why)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server keeps of a statement: its queryid and its text; `ours` is our fingerprint."""

    queryid: int
    text: str
    ours: int

    @property
    def key(self) -> tuple[int, int]:
        return self.queryid, self.ours


class Recorder:
    """Runs statements one by one, and says what pg_stat_statements keeps of each.

    What can be is rolled back, so that each finds the same tables.
    """

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        conn.prepare_threshold = None
        self._before: tuple[str, ...] = ()
        self._run((HERE / "data_sql_agreement_tables.sql").read_text(encoding="utf-8"))

    def every(self, texts: Iterable[str]) -> dict[str, Seen]:
        """Of each distinct text what the server keeps."""
        return {text: self.one(text, _parameters(text)) for text in dict.fromkeys(texts)}

    def one(self, text: str, parameters: int = 0) -> Seen:
        """Runs one statement in a session as good as new."""
        for before in ("rollback", "discard all", f"{_TRACK}none"):
            self._run(before)
        self._run(
            "select pg_stat_statements_reset(); prepare p1 as select 1; prepare p2 as table k"
        )
        if not _ALONE.match(text):
            self._run(
                "begin; savepoint s1; savepoint s2; declare c cursor for select 1;"
                " declare sc scroll cursor for select 1"
            )
        for before in (*self._before, f"{_TRACK}top"):
            self._run(before)
        self._run(text, parameters)
        self._run(f"{_TRACK}none")
        self._run("rollback")
        rows = self._conn.execute(
            "select queryid, query from pg_stat_statements s join pg_database d on d.oid = dbid"
            " where datname = current_database() and query not like 'set pg_stat_statements%'"
        ).fetchall()
        [(queryid, query)] = rows
        return Seen(queryid, query, fingerprint(text))

    def run_before(self, *texts: str) -> None:
        """What to run before each statement from now on."""
        self._before = texts

    def _run(self, text: str, parameters: int = 0) -> None:
        """Runs a text, with NULL for each parameter if it has any; COPY's data is dropped."""
        libpq, data = self._conn.pgconn, text.encode()
        values = [None] * parameters
        result = libpq.exec_params(data, values) if parameters else libpq.exec_(data)
        if result.status == ExecStatus.COPY_OUT:
            while libpq.get_copy_data(0)[0] > 0:
                pass
            result = libpq.get_result() or result
        if result.status not in _FINE:
            raise AssertionError(f"{text}: {result.error_message.decode()}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a server and we say of a corpus.

    `disagreed` are the lines whose two texts are one to the one and two to the other;
    `unexplained` are texts of different lines of which the same holds and no line says why.
    """

    seen: dict[str, Seen]
    disagreed: list[Case]
    unexplained: list[tuple[str, str]]

    @property
    def pairs(self) -> int:
        return len(self.seen) * (len(self.seen) - 1) // 2

    @property
    def disputes(self) -> int:
        """In how many pairs of all texts the server and we disagree."""
        both = _pairs(Counter((one.queryid, one.ours) for one in self.seen.values()))
        server = _pairs(Counter(one.queryid for one in self.seen.values()))
        ours = _pairs(Counter(one.ours for one in self.seen.values()))
        return server + ours - 2 * both

    @property
    def rate(self) -> float:
        return 1 - self.disputes / self.pairs

    def __str__(self) -> str:
        return (
            f"{len(self.seen)} statements, {self.rate:.3%} of {self.pairs} pairs agree;"
            f" of the corpus' lines {len(self.disagreed)} disagree, each with its reason"
        )


def agreement(every: list[Case], recorder: Recorder) -> Agreement:
    """Runs a corpus, and compares the lines' pairs and then all texts with each other."""
    seen = recorder.every(text for case in every for text in case[:2])
    disagreed, links = [], []
    for case in every:
        one, other = seen[case.one], seen[case.other]
        if (one.queryid == other.queryid) != case.same:
            disagreed.append(case)
            links.append((one, other))
    return Agreement(seen, disagreed, _unexplained(seen, links))


def _unexplained(seen: dict[str, Seen], links: list[tuple[Seen, Seen]]) -> list[tuple[str, str]]:
    """Texts of one queryid, or of one fingerprint, that no chain of disagreeing lines joins."""
    found = []
    for side in (0, 1):
        groups: dict[int, dict[tuple[int, int], str]] = defaultdict(dict)
        for text, one in seen.items():
            groups[one.key[side]].setdefault(one.key, text)
        known = _Sets()
        for one, other in links:
            if one.key[side] == other.key[side]:
                known.join(one.key, other.key)
        for classes in groups.values():
            first, *others = classes
            apart = (key for key in others if known.of(key) != known.of(first))
            found += [(classes[first], classes[key]) for key in apart]
    return found


class _Sets:
    """Disjoint sets."""

    def __init__(self) -> None:
        self._parent: dict[tuple[int, int], tuple[int, int]] = {}

    def of(self, key: tuple[int, int]) -> tuple[int, int]:
        while key in self._parent:
            key = self._parent[key]
        return key

    def join(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        if self.of(one) != self.of(other):
            self._parent[self.of(one)] = self.of(other)


def _parameters(text: str) -> int:
    return max(map(int, _PARAMETER.findall(text)), default=0)


def _pairs(counts: Counter[Any]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())
