"""From a changed tree back to SQL: only where the unchanged one comes back as it was written.

sqlglot prints what it understood. Where it would drop or rename something of the statement (a
clause, a function, a constant's digits), a rewrite of another part could break this one; so then
there is none. Comments never reach the tree; they are put back at the ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.lexer import Lexeme, Token, code, tokens, unquote
from dbopt.sql.parse import parse, split
from dbopt.sql.script import Subject

_SPELLINGS = frozenset(
    """as asc bigint bool boolean cast char character current_timestamp decimal double float4 float8
    inner int int2 int4 int8 integer now numeric outer precision real smallint time timestamp
    timestamptz varchar varying with without zone""".split()  # noqa: SIM905 - shorter than a list
)
"""Words that may come or go: two spellings of one thing."""
_SAME_OPERATORS = {"!=": "<>", "::": ""}
_CONSTANTS = frozenset({Lexeme.STRING, Lexeme.NUMBER, Lexeme.PARAM})


@dataclass(frozen=True, slots=True)
class _Content:
    """What must not differ between a statement and its tree printed."""

    words: frozenset[str]
    operators: frozenset[str]
    constants: Counter[str]


def rewritten(subject: Subject, changed: exp.Expr) -> str:
    """The statement's SQL with this tree in place of its own; "" where that may lose something."""
    known, tree = subject.rewriting, subject.tree
    known.tokens += len(subject.judged.statement.tokens)
    try:
        if known.faithful is None:
            known.faithful = tree is not None and _is_faithful(subject, tree)
        if tree is None or not known.faithful or not _same_parameters(tree, changed):
            return ""
        sql = _printed(changed, subject.judged.statement.tokens)
        return _with_comments(subject.sql, sql) if _reads_back(sql, changed) else ""
    except RecursionError:
        return ""


def printed(subject: Subject, node: exp.Expr) -> str:
    """A part of the statement as SQL, for a remedy to quote."""
    try:
        return _printed(node, subject.judged.statement.tokens)
    except RecursionError:
        return ""


def _printed(tree: exp.Expr, written: Sequence[Token]) -> str:
    """now() and CURRENT_TIMESTAMP are one node; in a select list they name the column."""
    tree = tree.copy()
    clocks = list(tree.find_all(exp.CurrentTimestamp))
    words = {t.text.lower() for t in written if t.lexeme is Lexeme.WORD} if clocks else set()
    if "now" in words and "current_timestamp" not in words:
        for node in clocks:
            node.replace(exp.Anonymous(this="now"))
    return tree.sql(dialect="postgres", normalize_functions=False)


def _is_faithful(subject: Subject, tree: exp.Expr) -> bool:
    written = subject.judged.statement.tokens
    before = _content(written)
    after = _content(code(_printed(tree, written)))
    return (
        before.words ^ after.words <= _SPELLINGS
        and before.operators == after.operators
        and before.constants == after.constants
    )


def _same_parameters(tree: exp.Expr, changed: exp.Expr) -> bool:
    """Whether the client's values still fit: each parameter is there, however often. Those without
    a name go by their order, which two may have changed."""
    before, after = _parameters(tree), _parameters(changed)
    return before == after and before[""] <= 1


def _parameters(tree: exp.Expr) -> Counter[str]:
    """The names; those without one count as often as they are there."""
    found = tree.find_all(exp.Parameter, exp.Placeholder)
    names = [node.name if node.args.get("this") is not None else "" for node in found]
    return Counter({name: 1 if name else names.count("") for name in names})


def _reads_back(sql: str, tree: exp.Expr) -> bool:
    """Whether the text is read as this tree: sqlglot prints no parentheses of its own accord, so
    what was put into a tighter operator would bind to other things than it was meant to."""
    statements = split(sql)
    return len(statements) == 1 and parse(statements[0]) == tree


def _content(found: Sequence[Token]) -> _Content:
    names = {Lexeme.WORD, Lexeme.NAME}
    operators = {_SAME_OPERATORS.get(t.text, t.text) for t in found if t.lexeme is Lexeme.OPERATOR}
    return _Content(
        frozenset(unquote(token.text) for token in found if token.lexeme in names),
        frozenset(operators),
        # sqlglot writes the unit of an interval in capitals.
        Counter(token.text.lower() for token in found if token.lexeme in _CONSTANTS),
    )


def _with_comments(text: str, sql: str) -> str:
    """Hints lead, since pg_hint_plan reads the first comment only; all else trails."""
    comments = [_block(token.text) for token in _comments(text)]
    hints = [comment for comment in comments if comment.startswith("/*+")]
    return " ".join([*hints, sql, *(comment for comment in comments if comment not in hints)])


def _comments(text: str) -> Iterator[Token]:
    return (token for token in tokens(text) if token.lexeme is Lexeme.COMMENT)


def _block(comment: str) -> str:
    """A comment that runs to the end of its line would swallow what now follows it."""
    if not comment.startswith("--"):
        return comment
    inside = comment[2:].strip().replace("/*", "/ *").replace("*/", "* /")
    return f"/* {inside} */"
