"""Whether a statement gives the same values however often its parts are evaluated."""

from __future__ import annotations

from sqlglot import exp

from dbopt.sql.calls import calls
from dbopt.sql.functions import volatility
from dbopt.sql.resolve import known_views
from dbopt.sql.script import Subject


def is_steady(subject: Subject) -> bool:
    """Whether it calls no volatile function, as far as is known; the unknown counts as volatile."""
    known = subject.rewriting
    if known.steady is None:
        known.steady = _is_steady(subject)
    return known.steady


def _is_steady(subject: Subject) -> bool:
    tree, schema = subject.tree, subject.schema
    if tree is None or tree.find(exp.TableSample) is not None:
        return False
    called = [*calls(subject.judged.statement.tokens, tree.walk())]
    for view in known_views(subject.judged.does.reads, schema):
        called += view.functions
    return all(volatility(where, name, schema) in {"i", "s"} for where, name in called)
