"""What a statement does: its kind, whether it only reads, which relations it reads and writes.

The first words decide the kind, since sqlglot reads `savepoint s` as a column with an alias; the
tree decides about queries and DML. What cannot be parsed is never called read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sqlglot import exp

from dbopt.sql.calls import calls
from dbopt.sql.functions import is_harmless
from dbopt.sql.kinds import STRENGTH, first_kind
from dbopt.sql.lexer import Lexeme, Token, unquote
from dbopt.sql.parse import LONGEST_PARSED, Statement, parse, split
from dbopt.sql.query import Kind, Relation
from dbopt.sql.relations import (
    Found,
    indexed_table,
    read_name,
    relations_of_ddl,
    relations_of_tokens,
    relations_of_tree,
)

Harmless = Callable[[str, str], bool]
"""Whether a function (schema or "", name) writes nothing."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What a text does. `parsed` is False where any of its statements could not be read."""

    kind: Kind
    read_only: bool
    reads: tuple[Relation, ...]
    writes: tuple[Relation, ...]
    parsed: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """One statement with its tree, if it is a query or DML that sqlglot can read."""

    statement: Statement
    tree: exp.Expression | None
    does: Classification


NOTHING = Classification(Kind.UTILITY, False, (), (), False)
"""The class of an empty text."""

_QUERIES = frozenset({Kind.READ, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE})
_DML: tuple[tuple[type[exp.Expression], Kind], ...] = (
    (exp.Insert, Kind.INSERT),
    (exp.Update, Kind.UPDATE),
    (exp.Delete, Kind.DELETE),
    (exp.Merge, Kind.MERGE),
    (exp.Into, Kind.DDL),
)
_DML_WORDS = (
    (("insert", "into"), Kind.INSERT),
    (("merge", "into"), Kind.MERGE),
    (("delete", "from"), Kind.DELETE),
)


def classify(text: str, harmless: Harmless = is_harmless) -> Classification:
    """The class of a text of one statement or several: the strongest kind, all relations.

    It is read-only when every statement is. Never raises.
    """
    return combine(judged.does for judged in judge(text, harmless))


def judge(text: str, harmless: Harmless = is_harmless) -> list[Judged]:
    """Each statement of a text, parsed once and classed.

    Of a text longer than LONGEST_PARSED only that much is read, and nothing is held of the rest
    but that it may write.
    """
    if len(text) <= LONGEST_PARSED:
        return [_judge(statement, harmless) for statement in split(text)]
    return [_doubted(_judge(s, harmless)) for s in split(text[:LONGEST_PARSED])]


def _doubted(judged: Judged) -> Judged:
    return Judged(judged.statement, None, replace(judged.does, read_only=False, parsed=False))


def combine(classes: Iterable[Classification]) -> Classification:
    """One class for statements that run together."""
    every = list(classes)
    if not every:
        return NOTHING
    return Classification(
        max((c.kind for c in every), key=STRENGTH.__getitem__),
        all(c.read_only for c in every),
        _sorted(relation for c in every for relation in c.reads),
        _sorted(relation for c in every for relation in c.writes),
        all(c.parsed for c in every),
    )


def _judge(statement: Statement, harmless: Harmless) -> Judged:
    kind = first_kind(statement.words)
    if kind in _QUERIES:
        return _query(statement, kind, harmless)
    if kind is Kind.EXPLAIN:
        return _explain(statement, harmless)
    if kind is Kind.COPY:
        return _copy(statement, harmless)
    if kind is Kind.DDL:
        return _ddl(statement)
    return _by_words(statement, kind)


def _by_words(statement: Statement, kind: Kind | None) -> Judged:
    """A statement whose first words say all that there is to know."""
    read_only = statement.words[:1] == ("show",)
    writes: tuple[Relation, ...] = ()
    if statement.words[:1] == ("refresh",):
        writes = _sorted(relations_of_tokens(statement.tokens).writes)
    does = Classification(kind or Kind.UTILITY, read_only, (), writes, kind is not None)
    return Judged(statement, None, does)


def _query(statement: Statement, kind: Kind, harmless: Harmless) -> Judged:
    tree = parse(statement)
    if tree is None or not isinstance(tree, exp.Query | exp.DML | exp.Values):
        return _unparsed(statement, kind)
    nodes = list(tree.walk())
    kinds = {kind for node in nodes for cls, kind in _DML if isinstance(node, cls)}
    kind = max(kinds | {Kind.READ}, key=STRENGTH.__getitem__)
    found = relations_of_tree(tree)
    locks = any(isinstance(node, exp.Lock) for node in nodes)
    pure = all(harmless(*called) for called in calls(nodes, statement.tokens))
    read_only = kind is Kind.READ and not found.writes and not locks and pure
    return Judged(statement, tree, _classification(kind, read_only, found))


def _unparsed(statement: Statement, kind: Kind) -> Judged:
    words = [t.text.lower() for t in statement.tokens if t.lexeme is Lexeme.WORD]
    pairs = set(pairwise(words))
    kinds = {kind, *(kind for pair, kind in _DML_WORDS if pair in pairs)}
    found = relations_of_tokens(statement.tokens)
    if kind is Kind.READ and "into" in words and len(kinds) == 1:
        kinds.add(Kind.DDL)
    elif kind is Kind.READ and found.writes:
        kinds.add(Kind.UPDATE)
    strongest = max(kinds, key=STRENGTH.__getitem__)
    return Judged(statement, None, _classification(strongest, False, found, parsed=False))


def _explain(statement: Statement, harmless: Harmless) -> Judged:
    """EXPLAIN runs the statement only with ANALYZE; without it, it changes nothing."""
    inner, analyze = _explained(statement)
    judged = _inner(inner, harmless)
    if judged is None:
        return Judged(statement, None, Classification(Kind.EXPLAIN, False, (), (), False))
    does = judged.does
    touched = does.reads if analyze else _sorted((*does.reads, *does.writes))
    result = Classification(
        Kind.EXPLAIN,
        does.parsed and (does.read_only or not analyze),
        touched,
        does.writes if analyze else (),
        does.parsed,
    )
    return Judged(statement, judged.tree, result)


def _inner(statement: Statement, harmless: Harmless) -> Judged | None:
    """A statement inside another; None where there is none, or one that nests again."""
    if first_kind(statement.words) in {None, Kind.EXPLAIN, Kind.COPY}:
        return None
    return _judge(statement, harmless)


def _explained(statement: Statement) -> tuple[Statement, bool]:
    """The statement inside an EXPLAIN, and whether ANALYZE is among the options."""
    tokens, at = statement.tokens, 1
    if statement.words[1:2] == ("(",) and first_kind(statement.words[2:]) not in _QUERIES:
        at = _closing(tokens, 1) + 1
    while at < len(tokens) and tokens[at].text.lower() in {"analyze", "analyse", "verbose"}:
        at += 1
    return _rest(statement, at), any(_may_say_analyze(token) for token in tokens[1:at])


def _may_say_analyze(token: Token) -> bool:
    """An option's name may be quoted, and its letters escaped: U&"\0061nalyze"."""
    if token.lexeme is Lexeme.NAME and token.text[0] != '"':
        return True
    return unquote(token.text) in {"analyze", "analyse"}


def _copy(statement: Statement, harmless: Harmless) -> Judged:
    """COPY table FROM writes it; COPY table or (query) TO STDOUT reads."""
    tokens, words = statement.tokens, statement.words
    if words[1:2] == ("(",):
        return _copy_query(statement, harmless)
    named = read_name(tokens, 2 if words[1:2] == ("binary",) else 1)
    if named is None:
        return Judged(statement, None, Classification(Kind.COPY, False, (), (), False))
    relation, at = named
    if tokens[at : at + 1] and tokens[at].text == "(":
        at = _closing(tokens, at) + 1
    to_client = _texts(tokens[at : at + 2]) == ["to", "stdout"]
    outward = _texts(tokens[at : at + 1]) == ["to"]
    names = (relation,)
    does = Classification(
        Kind.COPY, to_client, names if outward else (), () if outward else names, True
    )
    return Judged(statement, None, does)


def _copy_query(statement: Statement, harmless: Harmless) -> Judged:
    end = _closing(statement.tokens, 1)
    inside = statement.tokens[2:end]
    to_client = _texts(statement.tokens[end + 1 : end + 3]) == ["to", "stdout"]
    judged = _inner(_part(statement, inside), harmless)
    if judged is None:
        return Judged(statement, None, Classification(Kind.COPY, False, (), (), False))
    does = judged.does
    result = Classification(
        Kind.COPY, does.read_only and to_client, does.reads, does.writes, does.parsed
    )
    return Judged(statement, judged.tree, result)


def _ddl(statement: Statement) -> Judged:
    tree = parse(statement)
    if tree is None:
        is_index = "index" in statement.words[:3]
        found = (indexed_table if is_index else relations_of_tokens)(statement.tokens)
        does = _classification(Kind.DDL, False, found, parsed=False)
        return Judged(statement, None, does)
    return Judged(statement, tree, _classification(Kind.DDL, False, relations_of_ddl(tree)))


def _classification(
    kind: Kind, read_only: bool, found: Found, parsed: bool = True
) -> Classification:
    return Classification(kind, read_only, _sorted(found.reads), _sorted(found.writes), parsed)


def _sorted(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    return tuple(sorted(set(relations)))


def _texts(tokens: Sequence[Token]) -> list[str]:
    return [token.text.lower() for token in tokens]


def _closing(tokens: Sequence[Token], start: int) -> int:
    """The index of the parenthesis that closes the one at `start`; the end if none does."""
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at].lexeme is Lexeme.PUNCT:
            depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        if depth == 0:
            return at
    return len(tokens)


def _rest(statement: Statement, at: int) -> Statement:
    return _part(statement, statement.tokens[at:])


def _part(statement: Statement, tokens: Sequence[Token]) -> Statement:
    """Some of a statement's tokens in a row, as a statement of its own."""
    if not tokens:
        return Statement("", ())
    base = statement.tokens[0].start
    last = tokens[-1]
    text = statement.text[tokens[0].start - base : last.start + len(last.text) - base]
    return Statement(text, tuple(tokens))
