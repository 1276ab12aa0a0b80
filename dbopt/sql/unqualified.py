"""Whether an UPDATE or DELETE says which rows: by its tree, or else by its tokens.

It does not where it has no WHERE, or one that looks at no column (`where true`, `where 1 = 1`,
`where $1`). No constant decides it, so all statements of a fingerprint are alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from dbopt.sql.callwords import COL_NAMES, RESERVED
from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.parts import bracket

_NO_COLUMNS = RESERVED | COL_NAMES | {"is", "isnull", "notnull", "like", "ilike", "unknown"}
_NAMES_FOLLOW = frozenset({"::", "as", "from", "join", "only"})
"""What stands behind these is a type or a table."""
_NO_STATEMENT = frozenset({"do", "for", "key", "then", "or", "on", "before", "after", ","})
"""After these UPDATE and DELETE are clauses: DO UPDATE, FOR NO KEY UPDATE, WHEN ... THEN DELETE."""


def is_unqualified(nodes: Iterable[exp.Expr]) -> bool:
    """Whether any UPDATE or DELETE of a tree, in a CTE too, is unqualified. MERGE's are not."""
    return any(
        isinstance(node, exp.Update | exp.Delete)
        and not isinstance(node.parent, exp.When)
        and not _says_which(node.args.get("where"))
        for node in nodes
    )


def _says_which(where: exp.Expr | None) -> bool:
    if where is None:
        return False
    return any(not isinstance(column.this, exp.Star) for column in where.find_all(exp.Column))


def is_unqualified_text(tokens: Sequence[Token]) -> bool:
    """The same of a statement without a tree: rather too often than not."""
    words = [t.text.lower() if t.lexeme is Lexeme.WORD else t.text for t in tokens]
    for at, word in enumerate(words):
        if tokens[at].lexeme is not Lexeme.WORD or word not in {"update", "delete"}:
            continue
        if at and words[at - 1] in _NO_STATEMENT:
            continue
        if word == "delete" and words[at + 1 : at + 2] != ["from"]:
            continue
        if not _where_says_which(tokens, words, at):
            return True
    return False


def _where_says_which(tokens: Sequence[Token], words: Sequence[str], start: int) -> bool:
    """Whether a column is named behind the WHERE of the statement that starts here."""
    depth, where = 0, -1
    for at in range(start, len(tokens)):
        depth += bracket(tokens[at])
        if depth < 0 or (depth == 0 and where >= 0 and words[at] == "returning"):
            return False
        if where < 0:
            where = at if depth == 0 and words[at] == "where" else -1
        elif _is_column(tokens, words, at):  # the cursor of CURRENT OF counts
            return True
    return False


def _is_column(tokens: Sequence[Token], words: Sequence[str], at: int) -> bool:
    if tokens[at].lexeme not in {Lexeme.WORD, Lexeme.NAME}:
        return False
    if words[at + 1 : at + 2] == ["("] or words[at - 1] in _NAMES_FOLLOW:
        return False
    return tokens[at].lexeme is Lexeme.NAME or words[at] not in _NO_COLUMNS
