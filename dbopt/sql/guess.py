"""The features of a statement that cannot be parsed, guessed from its keywords. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dbopt.sql.lexer import Lexeme, Token

_KEYWORDS = {
    "join": "join",
    "cross": "cross_join",
    "lateral": "lateral_join",
    "recursive": "recursive",
    "union": "set_operation",
    "intersect": "set_operation",
    "except": "set_operation",
    "over": "window",
    "distinct": "distinct",
    "order": "sort",
    "or": "or_columns",
    "group": "grouping",
}


def guess(tokens: Iterable[Token]) -> Counter[str]:
    """How often each feature, each taken at its dearest; the names are settings of [complexity]."""
    counts: Counter[str] = Counter({"unparsed": 1, "depth": 1})
    nested = deepest = 0
    opened: list[bool] = []
    before = ""
    for token in tokens:
        word = token.text.lower() if len(token.text) <= 9 else ""
        if token.lexeme is Lexeme.PUNCT and word in {"(", ")"}:
            if word == "(":
                opened.append(False)
            elif opened and opened.pop():
                nested -= 1
        elif token.lexeme is Lexeme.WORD and word == "select" and before == "(":
            opened[-1] = True
            nested += 1
            deepest = max(deepest, nested)
            counts["correlated_subquery"] += 1
        elif token.lexeme is Lexeme.WORD and word in _KEYWORDS:
            counts[_KEYWORDS[word]] += 1
        before = word
    counts["depth"] += deepest
    return counts
