"""What a statement does: its kind, whether it only reads, which relations it reads and writes.

The first words decide the kind, since sqlglot reads `savepoint s` as a column with an alias; the
tree decides about queries and DML, and the words about all other commands. What cannot be parsed
is never called read-only. A statement inside another (EXPLAIN, PREPARE, DECLARE, COPY, CREATE AS)
is looked into.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise

from sqlglot import exp

from dbopt.sql.calls import Call, calls
from dbopt.sql.certainty import (
    UNREAD,
    WRITING,
    Doubt,
    doubts_of_calls,
    doubts_of_relations,
    doubts_of_tree,
)
from dbopt.sql.functions import Harmless, is_harmless
from dbopt.sql.inside import created_as, declared, elements, explained, prepared
from dbopt.sql.judged import NOTHING, Classification, Judged, combine, in_order
from dbopt.sql.kinds import QUERIES, STRENGTH, first_kind
from dbopt.sql.lexer import Lexeme
from dbopt.sql.parse import LONGEST_READ, Statement, parse, split
from dbopt.sql.parts import closing, lower, part
from dbopt.sql.query import Kind, Relation
from dbopt.sql.relations import Found, read_name, relations_of_tokens, relations_of_tree
from dbopt.sql.resolve import known_views, resolved
from dbopt.sql.schema import Schema
from dbopt.sql.targets import changed
from dbopt.sql.unqualified import is_unqualified, is_unqualified_text
from dbopt.sql.zones import BY_TYPE, zoneless

__all__ = [
    "NOTHING",
    "Classification",
    "Harmless",
    "Judged",
    "classify",
    "combine",
    "is_harmless",
    "judge",
]


_DML: tuple[tuple[type[exp.Expression], Kind], ...] = (
    (exp.Insert, Kind.INSERT),
    (exp.Update, Kind.UPDATE),
    (exp.Delete, Kind.DELETE),
    (exp.Merge, Kind.MERGE),
    (exp.Into, Kind.DDL),
)
_DML_TYPES = tuple(cls for cls, _ in _DML)
_DML_WORDS = (
    (("insert", "into"), Kind.INSERT),
    (("merge", "into"), Kind.MERGE),
    (("delete", "from"), Kind.DELETE),
)


def classify(
    text: str, harmless: Harmless = is_harmless, schema: Schema | None = None
) -> Classification:
    """The class of a text of one statement or several: the strongest kind, all relations.

    It is read-only when every statement is. Never raises.
    """
    return combine(judged.does for judged in judge(text, harmless, schema))


def judge(
    text: str, harmless: Harmless = is_harmless, schema: Schema | None = None
) -> list[Judged]:
    """Each statement of a text, parsed once and classed.

    With a `schema` names are resolved, views looked into, and the application's functions known.
    Of a text longer than LONGEST_READ only that much is read, and nothing is held of the rest
    but that it may write.
    """
    judges = _Judge(harmless, schema)
    if len(text) <= LONGEST_READ:
        return [judges.judge(statement) for statement in split(text)]
    return [_doubted(judges.judge(one)) for one in split(text[:LONGEST_READ])]


def _doubted(judged: Judged) -> Judged:
    does = replace(judged.does, read_only=False, parsed=False, doubts=(UNREAD,))
    return Judged(judged.statement, None, does)


class _Judge:
    """Judges single statements with what is known of functions and relations."""

    def __init__(self, harmless: Harmless, schema: Schema | None) -> None:
        if schema is not None and harmless is is_harmless:
            harmless = partial(is_harmless, known=schema)
        self._harmless = harmless
        self._schema = schema

    def judge(self, statement: Statement) -> Judged:
        kind = first_kind(statement.words)
        if kind in QUERIES:
            return self._query(statement, kind)
        if kind is Kind.EXPLAIN:
            return self._explain(statement)
        if kind is Kind.COPY:
            return self._copy(statement)
        if kind is Kind.SESSION and statement.words[0] in {"prepare", "declare"}:
            return self._kept(statement)
        if kind is Kind.DDL:
            return self._ddl(statement)
        read_only = statement.words[:1] == ("show",)
        found = Found(writes=set(changed(statement.tokens)))
        return self._command(
            statement, kind or Kind.UTILITY, read_only, found, parsed=kind is not None
        )

    def _command(
        self,
        statement: Statement,
        kind: Kind,
        read_only: bool = False,
        found: Found | None = None,
        parsed: bool = True,
    ) -> Judged:
        """A command whose words say all that there is to know, or that cannot be read."""
        found = resolved(found or Found(), self._schema)
        doubts = [_no_query(kind), *([] if parsed else [UNREAD])]
        does = Classification(
            kind,
            read_only,
            in_order(found.reads),
            in_order(found.writes),
            parsed,
            ddl=kind is Kind.DDL,
            doubts=tuple(doubts),
        )
        return Judged(statement, None, does)

    def _query(self, statement: Statement, kind: Kind) -> Judged:
        tree = parse(statement)
        if tree is None or not isinstance(tree, exp.Query | exp.DML | exp.Values):
            return self._unparsed(statement, kind)
        nodes = list(tree.walk())
        kind = _kind_of(nodes)
        found = resolved(relations_of_tree(tree), self._schema)
        called = calls(statement.tokens, nodes)
        doubts = [Doubt("writes")] if kind in WRITING or found.writes else []
        doubts += doubts_of_tree(nodes)
        locks = any(doubt.because == "locks rows" for doubt in doubts)
        doubts += doubts_of_calls(self._uncertain(called, tree, nodes), self._schema)
        reads, writes = in_order(found.reads), in_order(found.writes)
        doubts += doubts_of_relations(reads, self._schema)
        pure = kind is Kind.READ and not writes and not locks and self._pure(called, reads)
        does = Classification(
            kind,
            pure,
            reads,
            writes,
            unqualified=is_unqualified(nodes),
            ddl=kind is Kind.DDL,
            doubts=tuple(dict.fromkeys(doubts)),
        )
        return Judged(statement, tree, does)

    def _uncertain(
        self, called: list[Call], tree: exp.Expression, nodes: list[exp.Expr]
    ) -> list[Call]:
        """The calls without those that are known to be immutable by their arguments."""
        if not any(name in BY_TYPE for _, name in called):
            return called
        sure = zoneless(tree, nodes, self._schema)
        return [(schema, name) for schema, name in called if schema or name not in sure]

    def _pure(self, called: Iterable[Call], reads: Iterable[Relation]) -> bool:
        """Whether no function writes, none of the views either."""
        if not all(self._harmless(*call) for call in called):
            return False
        views = known_views(reads, self._schema)
        return all(self._harmless(*call) for view in views for call in view.functions)

    def _unparsed(self, statement: Statement, kind: Kind) -> Judged:
        words = [t.text.lower() for t in statement.tokens if t.lexeme is Lexeme.WORD]
        pairs = set(pairwise(words))
        kinds = {kind, *(kind for pair, kind in _DML_WORDS if pair in pairs)}
        found = relations_of_tokens(statement.tokens)
        if kind is Kind.READ and "into" in words and len(kinds) == 1:
            kinds.add(Kind.DDL)
        elif kind is Kind.READ and found.writes:
            kinds.add(Kind.UPDATE)
        strongest = max(kinds, key=STRENGTH.__getitem__)
        found = resolved(found, self._schema)
        does = Classification(
            strongest,
            False,
            in_order(found.reads),
            in_order(found.writes),
            parsed=False,
            unqualified=is_unqualified_text(statement.tokens),
            ddl=strongest is Kind.DDL,
            doubts=(UNREAD,),
        )
        return Judged(statement, None, does)

    def _explain(self, statement: Statement) -> Judged:
        """EXPLAIN runs the statement only with ANALYZE; without it, it changes nothing."""
        inner, runs = explained(statement)
        judged = self._inner(inner)
        if judged is None:
            return self._command(statement, Kind.EXPLAIN, parsed=False)
        does = judged.does
        result = Classification(
            Kind.EXPLAIN,
            does.parsed and (does.read_only or not runs),
            does.reads if runs else in_order((*does.reads, *does.writes)),
            does.writes if runs else (),
            does.parsed,
            does.unqualified and runs,
            does.ddl and runs,
            (_no_query(Kind.EXPLAIN), *does.doubts),
        )
        return Judged(statement, judged.tree, result, judged.source)

    def _inner(self, statement: Statement) -> Judged | None:
        """A statement inside another; None where there is none, or one that nests again."""
        kind = first_kind(statement.words)
        if kind in {None, Kind.EXPLAIN, Kind.COPY} or statement.words[0] == "prepare":
            return None
        return self.judge(statement)

    def _kept(self, statement: Statement) -> Judged:
        """PREPARE and DECLARE: judged as what they keep, which is run later."""
        find = prepared if statement.words[0] == "prepare" else declared
        inner = find(statement)
        if inner is None or first_kind(inner.words) not in QUERIES:
            return self._command(statement, Kind.SESSION, parsed=False)
        judged = self.judge(inner)
        doubts = (_no_query(Kind.SESSION), *judged.does.doubts)
        does = replace(judged.does, kind=Kind.SESSION, doubts=doubts)
        return Judged(statement, judged.tree, does, inner)

    def _copy(self, statement: Statement) -> Judged:
        """COPY table FROM writes it; COPY table or (query) TO STDOUT reads."""
        tokens, words = statement.tokens, statement.words
        if words[1:2] == ("(",):
            return self._copy_query(statement)
        named = read_name(tokens, 2 if words[1:2] == ("binary",) else 1)
        if named is None:
            return self._command(statement, Kind.COPY, parsed=False)
        relation, at = named
        if lower(tokens, at, at + 1) == ["("]:
            at = closing(tokens, at) + 1
        to_client = lower(tokens, at, at + 2) == ["to", "stdout"]
        if lower(tokens, at, at + 1) == ["to"]:
            return self._command(statement, Kind.COPY, to_client, Found(reads={relation}))
        return self._command(statement, Kind.COPY, False, Found(writes={relation}))

    def _copy_query(self, statement: Statement) -> Judged:
        end = closing(statement.tokens, 1)
        to_client = lower(statement.tokens, end + 1, end + 3) == ["to", "stdout"]
        judged = self._inner(part(statement, statement.tokens[2:end]))
        if judged is None:
            return self._command(statement, Kind.COPY, parsed=False)
        does = judged.does
        doubts = (_no_query(Kind.COPY), *does.doubts)
        read_only = does.read_only and to_client
        result = replace(does, kind=Kind.COPY, read_only=read_only, doubts=doubts)
        return Judged(statement, judged.tree, result, judged.source)

    def _ddl(self, statement: Statement) -> Judged:
        """What it changes by its words, and what a query in it reads."""
        found = Found(writes=set(changed(statement.tokens)))
        if statement.words[:2] == ("create", "schema"):
            for one in elements(statement):
                does = self.judge(one).does
                found.writes.update(does.writes)
                found.reads.update(does.reads)
            found.reads -= found.writes
        inner = created_as(statement)
        if inner is None or first_kind(inner.words) not in QUERIES:
            return self._command(statement, Kind.DDL, found=found)
        judged = self.judge(inner)
        command = self._command(statement, Kind.DDL, found=found)
        # A recursive view is a CTE of its own name.
        own = {Relation("", one.name) for one in found.writes if "recursive" in statement.words}
        does = replace(
            command.does,
            reads=tuple(relation for relation in judged.does.reads if relation not in own),
            writes=in_order((*command.does.writes, *judged.does.writes)),
            parsed=judged.does.parsed,
            unqualified=judged.does.unqualified,
        )
        return Judged(statement, judged.tree, does, inner)


def _kind_of(nodes: Iterable[exp.Expr]) -> Kind:
    kinds = {Kind.READ}
    for node in nodes:
        if isinstance(node, _DML_TYPES):
            kinds.update(kind for cls, kind in _DML if isinstance(node, cls))
    return max(kinds, key=STRENGTH.__getitem__)


def _no_query(kind: Kind) -> Doubt:
    if kind in WRITING and kind is not Kind.COPY:
        return Doubt("writes", random=True)
    return Doubt(f"is no query: {kind}", random=True)
