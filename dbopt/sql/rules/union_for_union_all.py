"""UNION where UNION ALL gives the same: it sorts or hashes every row to find no duplicate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import combinations

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import Lexeme
from dbopt.sql.rules.predicates import replaced
from dbopt.sql.rules.sources import Source, column_of, is_key, sources
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.shape import conjuncts

_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_LONGEST_CHAIN = 100
"""UNIONs in a row. Each branch is compared with each other."""
_AGGREGATES = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max)
_SIMPLE = (exp.Column, *_AGGREGATES)
_CLAUSES = ("with_", "order", "limit", "offset")
"""What makes a UNION more than a link of a chain."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """One SELECT of a UNION, with what it reads."""

    select: exp.Select
    sources: tuple[Source, ...]


def _check(subject: Subject) -> Iterator[Match]:
    for union in subject.tree.find_all(exp.Union) if subject.tree is not None else ():
        if not union.args.get("distinct") or _is_link(union) or _recurs(union):
            continue
        chain = list(_chain(union))
        proof = _proof(subject, chain) if len(chain) <= _LONGEST_CHAIN else ""
        yield Match(
            subject,
            _message(proof),
            union,
            _rewrite(subject, union, len(chain)) if proof else "",
            "Write UNION ALL." if proof else "",
            Severity.WARNING if proof else None,
        )


def _message(proof: str) -> str:
    if proof:
        return f"UNION removes duplicates where there are none to remove: {proof}."
    return "UNION sorts or hashes all rows of both sides to remove duplicates."


def _is_link(union: exp.Union) -> bool:
    """Whether it is the left part of a longer chain, which is judged as a whole."""
    parent = union.parent
    return isinstance(parent, exp.Union) and bool(parent.args.get("distinct"))


def _recurs(union: exp.Union) -> bool:
    """In WITH RECURSIVE, UNION is what ends a walk in circles."""
    cte = _outside(union)
    return isinstance(cte, exp.CTE) and isinstance(cte.parent, exp.With) and cte.parent.recursive


def _chain(union: exp.Union) -> Iterator[exp.Union]:
    """The UNION and those that are its left part, as long as they are plain."""
    link: exp.Expr = union
    while isinstance(link, exp.Union) and link.args.get("distinct"):
        if link is not union and any(link.args.get(clause) for clause in _CLAUSES):
            return
        yield link
        link = link.this


def _proof(subject: Subject, chain: Sequence[exp.Union]) -> str:
    """Why no two rows are alike, or none would be told apart; "" where nothing shows it."""
    if _only_membership(chain[0]):
        return "the query around it only asks whether a row is there"
    parts = [chain[-1].this, *(union.expression for union in reversed(chain))]
    branches = [_branch(subject, part) for part in parts]
    known = [branch for branch in branches if branch is not None]
    if len(known) < len(branches) or not all(_is_distinct(one, known) for one in known):
        return ""
    if _tagged(known) and _is_plainly_spelled(subject):
        return "each side has a constant of its own and no duplicates within"
    if all(_are_disjoint(one, other) for one, other in combinations(known, 2)):
        return "the sides read different rows of one table, each with its key"
    return ""


def _only_membership(union: exp.Union) -> bool:
    """Whether it is the whole subquery of IN, EXISTS or ANY."""
    node = _outside(union)
    asked = isinstance(node, exp.In | exp.Exists | exp.Any)
    return asked and not any(union.args.get(clause) for clause in _CLAUSES)


def _outside(union: exp.Union) -> exp.Expr | None:
    """What a UNION is a part of, parentheses aside."""
    node = union.parent
    while isinstance(node, exp.Subquery | exp.Paren):
        node = node.parent
    return node


def _branch(subject: Subject, part: exp.Expr) -> _Branch | None:
    if not isinstance(part, exp.Select) or part.find(exp.Lock) is not None:
        return None
    return _Branch(part, tuple(sources(part, subject.schema)))


# --- no duplicates within


def _is_distinct(branch: _Branch, others: Sequence[_Branch]) -> bool:
    """Whether no two rows of a branch are alike, in the types that the UNION gives its columns.

    Of two types UNION takes the wider, in which different values may be one: two bigints are the
    same float8.
    """
    places = _identity(branch)
    return places is not None and all(_keeps_type(at, others) for at in places)


def _identity(branch: _Branch) -> list[int] | None:
    """The places of the result that tell its rows apart: none for one row; None if it has none."""
    select = branch.select
    items = [item.unalias() for item in select.expressions]
    if not all(isinstance(item, _SIMPLE) or _is_scalar(item) for item in items):
        return None
    distinct = select.args.get("distinct")
    if distinct is not None:
        plain = distinct.args.get("on") is None and not select.find(exp.AggFunc)
        return [at for at, item in enumerate(items) if not _is_scalar(item)] if plain else None
    if select.args.get("group") is not None:
        return _groups(select, items)
    if not branch.sources or _is_one_row(items):
        return [] if all(isinstance(i, _AGGREGATES) or _is_scalar(i) for i in items) else None
    return _key(branch)


def _is_scalar(value: exp.Expr) -> bool:
    """One value for sure: a function might return a set."""
    while isinstance(value, exp.Cast | exp.Paren | exp.Neg):
        value = value.this
    return isinstance(value, exp.Literal | exp.Null | exp.Boolean | exp.Parameter)


def _is_one_row(items: Sequence[exp.Expr]) -> bool:
    return any(isinstance(item, _AGGREGATES) for item in items)


def _groups(select: exp.Select, items: Sequence[exp.Expr]) -> list[int] | None:
    """The places of all that is grouped by: each group is a row of its own."""
    group = select.args["group"]
    plain = not any(value for key, value in group.args.items() if key != "expressions")
    keys_ = group.expressions
    if not plain or not all(isinstance(key, exp.Column) and key in items for key in keys_):
        return None
    return [items.index(key) for key in keys_]


def _key(branch: _Branch) -> list[int] | None:
    if len(branch.sources) != 1 or branch.select.args.get("laterals"):
        return None
    names = _columns(branch)
    if not is_key(branch.sources[0].relation, frozenset(names)):
        return None
    return [at for at, name in enumerate(names) if name]


def _keeps_type(at: int, branches: Sequence[_Branch]) -> bool:
    """Whether each branch has a column of one type there, or a constant."""
    types = set()
    for branch in branches:
        items = branch.select.expressions
        item = items[at].unalias() if at < len(items) else None
        if isinstance(item, exp.Literal | exp.Null):
            continue
        known = column_of(item, branch.sources)
        types.add(known.type if known is not None else "")
    return len(types) == 1 and "" not in types


def _is_column(item: exp.Expr) -> bool:
    column = item.unalias()
    return isinstance(column, exp.Column) and isinstance(column.this, exp.Identifier)


def _columns(branch: _Branch) -> list[str]:
    """The columns in the result by place, "" for what is none."""
    items = branch.select.expressions
    return [folded(item.unalias().this) if _is_column(item) else "" for item in items]


# --- nothing in common


def _tagged(branches: Sequence[_Branch]) -> bool:
    """Whether one place of the result holds a constant in each branch, no two of them equal."""
    width = min(len(branch.select.expressions) for branch in branches)
    for at in range(width):
        values = [_constant(branch.select.expressions[at]) for branch in branches]
        kinds = {type(value) for value in values}
        if None not in values and len(kinds) == 1 and len(set(values)) == len(values):
            return True
    return False


def _is_plainly_spelled(subject: Subject) -> bool:
    """Whether the tree has all constants as they are: it keeps E'\\x61' as a text of its own."""
    written = subject.judged.statement.tokens
    strings = (token.text for token in written if token.lexeme is Lexeme.STRING)
    numbers = (token.text for token in written if token.lexeme is Lexeme.NUMBER)
    return all(text[0] in "'$" for text in strings) and not any("_" in text for text in numbers)


def _constant(item: exp.Expr) -> str | Decimal | None:
    value = item.unalias()
    if not isinstance(value, exp.Literal):
        return None
    if value.is_string:
        return str(value.this)
    try:
        return Decimal(str(value.this))
    except InvalidOperation:
        return None


def _are_disjoint(one: _Branch, other: _Branch) -> bool:
    """Whether both read rows of one table by its key, and one condition parts these rows."""
    left, right = one.sources, other.sources
    if len(left) != 1 or len(right) != 1 or left[0].relation is None:
        return False
    if left[0].relation != right[0].relation or not _same_key(one, other):
        return False
    wanted, others = _equalities(one), _equalities(other)
    return any(wanted[name] != others[name] for name in wanted if name in others)


def _same_key(one: _Branch, other: _Branch) -> bool:
    """Whether a key stands at the same places of both results."""
    pairs = zip(_columns(one), _columns(other), strict=False)
    shared = frozenset(left for left, right in pairs if left and left == right)
    return is_key(one.sources[0].relation, shared)


def _equalities(branch: _Branch) -> dict[str, int]:
    """Integer columns that WHERE makes equal to a constant. Other types have several spellings of
    one value: 'a' = 'A' under some collations, 1.0 = 1.00."""
    where = branch.select.args.get("where")
    found: dict[str, int] = {}
    for part in conjuncts(where.this) if where is not None else ():
        if not isinstance(part, exp.EQ) or not isinstance(part.expression, exp.Literal):
            continue
        column = column_of(part.this, branch.sources)
        digits = str(part.expression.this)
        plain = digits.isascii() and digits.isdigit() and not part.expression.is_string
        if column is not None and column.type in _INTEGERS and plain:
            found[column.name] = int(digits)
    return found


def _rewrite(subject: Subject, union: exp.Union, links: int) -> str:
    changed = union.copy()
    link: exp.Expr = changed
    for _ in range(links):
        link.set("distinct", False)
        link = link.this
    return replaced(subject, (union, changed))


RULE = Rule(
    name="union-for-union-all",
    severity=Severity.INFO,
    summary="UNION, which removes duplicates, where UNION ALL may do.",
    reason=(
        "UNION must see every row of all sides before it gives the first: it sorts or hashes them, "
        "on disk if they exceed work_mem. UNION ALL appends the sides, passes a LIMIT on to them "
        "and keeps their order usable."
    ),
    remedy="If no row can be in both sides, or duplicates do no harm, write UNION ALL.",
    fires="SELECT 'user' AS kind, count(*) FROM users UNION SELECT 'order', count(*) FROM orders",
    passes="SELECT 'user' AS kind, count(*) FROM users UNION ALL SELECT 'x', count(*) FROM orders",
    check=_check,
)
