"""One key to compare the expressions of indexes by, however they were written down.

pg_get_indexdef prints the parsed tree: it adds parentheses and casts (`(status)::text =
'done'::text`), spells types out and turns IN into `= ANY (ARRAY[...])`. So two texts are compared
by their trees, without parentheses and without the casts that the server adds by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sqlglot import exp

from dbopt.sql.lexer import Lexeme, code, unquote
from dbopt.sql.parse import parse, split

_is_number = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_TEXT = frozenset({"TEXT", "VARCHAR", "BPCHAR", "NAME"})


@lru_cache(maxsize=4096)
def comparison_key(sql: str) -> str:
    """The key of an expression or predicate; equal for texts that differ in form only.

    "" for an empty one. Text that sqlglot cannot parse is its own key but for blanks and case of
    keywords. Never raises.
    """
    tree = _tree(sql)
    if tree is None:
        return " ".join(
            unquote(token.text) if token.text[0] != "'" else token.text for token in code(sql)
        )
    try:
        return _key(tree, whole=True)
    except RecursionError:
        return sql


def _tree(sql: str) -> exp.Expr | None:
    found = split(f"select ({_without_text_casts(sql)})")
    select = parse(found[0]) if len(found) == 1 and sql.strip() else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return None
    item = select.expressions[0]
    return item.this if isinstance(item, exp.Paren) else None


def _without_text_casts(sql: str) -> str:
    """`'k'::text` as `'k'`: sqlglot reads the keys of JSON and the units of time only so."""
    tokens = code(sql)
    parts: list[str] = []
    at = 0
    while at < len(tokens):
        parts.append(tokens[at].text)
        cast = [token.text.lower() for token in tokens[at + 1 : at + 4]]
        plain = tokens[at].lexeme is Lexeme.STRING and cast[:2] == ["::", "text"]
        at += 3 if plain and cast[2:] != ["["] else 1
    return " ".join(parts)


def _key(node: exp.Expr, whole: bool = False) -> str:
    """The key of a tree. `whole`: this is all there is, so a cast is what the index is about."""
    if isinstance(node, exp.Paren):
        return _key(node.this, whole)
    if isinstance(node, exp.Cast) and (items := _cast_items(node)):
        return _key(exp.Array(expressions=items))
    if isinstance(node, exp.Cast) and _adds_nothing(node, whole):
        return _constant(node)
    if isinstance(node, exp.Column):
        return unquote(node.name) if not node.this.args.get("quoted") else node.name
    if isinstance(node, exp.And | exp.Or):
        parts = sorted(_key(part) for part in node.flatten())
        return f"{node.key}({', '.join(parts)})"
    if isinstance(node, exp.EQ) and (items := _any_items(node.expression)):
        return _in(node.this, items)
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        value, low, high = node.this, node.args["low"], node.args["high"]
        return _key(
            exp.and_(exp.GTE(this=value, expression=low), exp.LTE(this=value, expression=high))
        )
    if isinstance(node, exp.In) and node.expressions:
        return _in(node.this, node.expressions)
    return _plain(node)


def _plain(node: exp.Expr) -> str:
    if isinstance(node, exp.Literal):
        return repr(str(node.this)) if node.is_string else str(node.this)
    if isinstance(node, exp.Var):
        return node.name.lower()
    parts = [unquote(node.name)] if isinstance(node, exp.Anonymous) else []
    for name, value in node.args.items():
        if name == "this" and isinstance(value, str) and parts:
            continue
        values = value if isinstance(value, list) else [value]
        texts = [_key(v) if isinstance(v, exp.Expr) else str(v) for v in values if v]
        parts += [f"{name}={','.join(texts)}"] if texts else []
    return f"{node.key}({', '.join(parts)})"


def _adds_nothing(cast: exp.Cast, whole: bool) -> bool:
    inner = _uncast(cast)[0]
    if isinstance(inner, exp.Neg):
        inner = _uncast(inner.this)[0]
    if isinstance(inner, exp.Literal | exp.Null):
        return True
    return not whole and cast.to.this.name in _TEXT


def _cast_items(cast: exp.Cast) -> list[exp.Expr]:
    """The elements of `(ARRAY[...])::text[]`, each cast by itself: so the server reads its own
    text again, and writes another one of it.
    """
    array, to = cast.this.unnest(), cast.to.expressions
    if not isinstance(array, exp.Array) or cast.to.this is not exp.DataType.Type.ARRAY or not to:
        return []
    return [exp.Cast(this=item.copy(), to=to[0].copy()) for item in array.expressions]


def _constant(cast: exp.Cast) -> str:
    """A value without its casts; the server prints -1.5 as ('-1.5'::numeric)::double precision."""
    inner, to = _uncast(cast)
    if not isinstance(inner, exp.Literal):
        return _key(cast.this)
    number = str(inner.this).removeprefix("-")
    if inner.is_string and to in exp.DataType.NUMERIC_TYPES and _is_number(number):
        literal = exp.Literal.number(number)
        return _key(literal if number == inner.this else exp.Neg(this=literal))
    return _key(inner)


def _uncast(node: exp.Expr) -> tuple[exp.Expr, object]:
    """What is inside casts and parentheses, and the type of the innermost cast."""
    to: object = None
    while isinstance(node, exp.Cast | exp.Paren):
        if isinstance(node, exp.Cast):
            to = node.to.this
        node = node.this
    return node, to


def _any_items(node: exp.Expr | None) -> list[exp.Expr]:
    """The elements of `ANY (ARRAY[...])`, casts of the array aside."""
    if not isinstance(node, exp.Any):
        return []
    inner = node.this.unnest()
    while isinstance(inner, exp.Cast | exp.Paren):
        inner = inner.this.unnest()
    return list(inner.expressions) if isinstance(inner, exp.Array) else []


def _in(left: exp.Expr, items: list[exp.Expr]) -> str:
    return f"in({_key(left)}: {', '.join(sorted(_key(item) for item in items))})"
