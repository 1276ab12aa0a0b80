"""Which relations a statement reads and writes: by its tree, or else by its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import exp

from dbopt.sql.callwords import RESERVED
from dbopt.sql.lexer import Lexeme, Token, unquote
from dbopt.sql.query import Relation

_NO_NAMES: frozenset[str] = frozenset()
_TARGET_OF = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into)


@dataclass(slots=True)
class Found:
    """What a walk over a statement met."""

    reads: set[Relation] = field(default_factory=set)
    writes: set[Relation] = field(default_factory=set)


def relations_of_tree(tree: exp.Expression) -> Found:
    """The relations of a parsed query or DML statement; names of CTEs in scope are none.

    Source: PostgreSQL 18 documentation, 7.8 WITH Queries: a CTE hides a table of the same name
    in its statement and in its later siblings, never as the target of a write.
    """
    found = Found()
    # A stack, not recursion: a chain of ANDs is as deep as it is long.
    todo: list[tuple[exp.Expr, frozenset[str]]] = [(tree, _NO_NAMES)]
    while todo:
        node, ctes = todo.pop()
        if isinstance(node, exp.Lock):
            continue  # FOR UPDATE OF names aliases
        if isinstance(node, exp.Table):
            _add_table(node, ctes, found)
        scope = _enter_with(node, ctes, todo)
        todo.extend((child, scope) for child in _children(node))
    return found


def _enter_with(
    node: exp.Expr, ctes: frozenset[str], todo: list[tuple[exp.Expr, frozenset[str]]]
) -> frozenset[str]:
    """Queues the bodies of a node's CTEs, each with the names that it sees; gives all names."""
    clause = node.args.get("with_")
    if not isinstance(clause, exp.With):
        return ctes
    names = [_name(cte.args["alias"].this) for cte in clause.expressions if cte.args.get("alias")]
    everything = ctes | set(names)
    for at, cte in enumerate(clause.expressions):
        seen = everything if clause.recursive else ctes | set(names[:at])
        todo.append((cte.this, seen))
    return everything


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    for key, value in node.args.items():
        if key == "with_":
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                yield child


def _add_table(table: exp.Table, ctes: frozenset[str], found: Found) -> None:
    if not isinstance(table.this, exp.Identifier):
        return  # a function in FROM
    relation = _relation(table)
    if _is_target(table):
        found.writes.add(relation)
    elif relation.schema or relation.name not in ctes:
        found.reads.add(relation)


def _is_target(table: exp.Table) -> bool:
    node: exp.Expr = table
    if isinstance(node.parent, exp.Schema):
        node = node.parent  # insert into t (a, b)
    return isinstance(node.parent, _TARGET_OF) and node.arg_key == "this"


def _relation(table: exp.Table) -> Relation:
    schema = table.args.get("db")
    return Relation(_name(schema) if isinstance(schema, exp.Identifier) else "", _name(table.this))


def _name(identifier: exp.Identifier) -> str:
    text = str(identifier.this)
    return text if identifier.args.get("quoted") else unquote(text)


# --- without a tree

_READ_AFTER = frozenset({"from", "join", "using"})
_WRITE_AFTER = frozenset({"into", "update", "table", "view"})
_SKIPPED = frozenset(
    [
        "only",
        "lateral",
        "table",
        "view",
        "materialized",
        "if",
        "exists",
        "not",
        "concurrently",
        "temp",
        "temporary",
        "unlogged",
    ]
)
_NOT_NAMES = frozenset(
    [
        "select",
        "values",
        "set",
        "where",
        "with",
        "as",
        "on",
        "nothing",
        "of",
        "no",
        "key",
        "share",
        "skip",
        "nowait",
        "all",
        "rows",
        "stdin",
        "stdout",
        "program",
        "unnest",
        "current",
        "default",
        "first",
        "last",
        "next",
        "prior",
        "group",
        "order",
        "limit",
    ]
)


def relations_of_tokens(tokens: Sequence[Token]) -> Found:
    """An estimate from keywords and the names after them. It rather names too much."""
    found = Found()
    words = [unquote(t.text) if t.lexeme is Lexeme.WORD else t.text for t in tokens]
    following = zip(words, words[1:], words[2:], strict=False)
    ctes = {name for name, *rest in following if rest == ["as", "("]}
    called = {name for name, after in pairwise(words) if after == "("}
    clauses = _Clauses()
    for at, word in enumerate(words):
        clauses.pass_over(tokens[at], word)
        if tokens[at].lexeme is not Lexeme.WORD:
            continue
        before = words[at - 1] if at else ""
        if word in _WRITE_AFTER or (word == "from" and before == "delete"):
            found.writes.update(_estimated(tokens, at + 1))
        elif word in _READ_AFTER and clauses.open and before != "distinct":
            names = _estimated(tokens, at + 1)
            found.reads.update(r for r in names if r.schema or r.name not in ctes | called)
    found.reads -= found.writes
    return found


class _Clauses:
    """Tells FROM of a query from that of `extract(year from a)`: there a SELECT is missing."""

    def __init__(self) -> None:
        self._open = [True]

    @property
    def open(self) -> bool:
        return self._open[-1]

    def pass_over(self, token: Token, word: str) -> None:
        """Takes notice of the next token. Parentheses without a SELECT may hold joins."""
        if token.text == "(":
            self._open.append(False)
        elif token.text == ")" and len(self._open) > 1:
            self._open.pop()
        elif word in {"select", "delete", "update", "merge", "join"}:
            self._open[-1] = True


def names_at(tokens: Sequence[Token], at: int, never: frozenset[str] = RESERVED) -> list[Relation]:
    """The names `a.b, c` that start at this token; none where something else does.

    `never` are words that are no names without quotes. A name before a parenthesis is one.
    """
    names: list[Relation] = []
    while (read := read_name(tokens, at, never)) is not None:
        relation, at = read
        names.append(relation)
        at = _after_alias(tokens, at)
        if at >= len(tokens) or tokens[at].text != ",":
            break
        at += 1
        if tokens[at : at + 1] and tokens[at].text.lower() == "only":
            at += 1
    return names


def _estimated(tokens: Sequence[Token], at: int) -> list[Relation]:
    while at < len(tokens) and tokens[at].text.lower() in _SKIPPED:
        at += 1
    if at < len(tokens) and tokens[at].text == "(" and tokens[at - 1].text.lower() == "only":
        at += 1
    return names_at(tokens, at, _NOT_NAMES)


def _after_alias(tokens: Sequence[Token], at: int) -> int:
    texts = [token.text.lower() for token in tokens[at : at + 3]]
    if texts[:1] == ["as"]:
        return at + 2
    return at + 1 if texts[1:2] == [","] and texts[0] != "," else at


def read_name(
    tokens: Sequence[Token], at: int, never: frozenset[str] = RESERVED
) -> tuple[Relation, int] | None:
    """The possibly qualified name at this token and what follows it, or None."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at].lexeme in {Lexeme.WORD, Lexeme.NAME}:
        if not parts and tokens[at].text.lower() in never:
            return None
        parts.append(unquote(tokens[at].text))
        at += 1
        if at >= len(tokens) or tokens[at].text != ".":
            break
        at += 1
    if not parts:
        return None
    return Relation(parts[-2] if len(parts) > 1 else "", parts[-1]), at
