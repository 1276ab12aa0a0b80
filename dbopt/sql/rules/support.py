"""What every lint rule is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.script import Script, Subject


@dataclass(frozen=True, slots=True)
class Match:
    """One place where a rule fires.

    `node` is the part of the tree that is meant, if one is. `rewrite` is the whole statement
    written better, "" where there is none that is safe: it is a proposal, and offered to nobody
    before it was checked on a server (dbopt.pg.rewrite). `remedy` and `severity` are this case's
    own, else the rule's are given.
    """

    subject: Subject
    message: str
    node: exp.Expr | None = None
    rewrite: str = ""
    remedy: str = ""
    severity: Severity | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One lint rule; each file of this package has one, as RULE.

    `reason` says what is bad about it, `remedy` what to do. `fires` is a text that it finds
    something in and `passes` one, as like it as can be, in which it finds nothing. A rule of one
    statement has `check`, a rule about several has `check_script`. `needs_schema`: without a
    Schema it finds nothing, and says so.
    """

    name: str
    severity: Severity
    summary: str
    reason: str
    remedy: str
    fires: str
    passes: str
    check: Callable[[Subject], Iterable[Match]] | None = None
    check_script: Callable[[Script], Iterable[Match]] | None = None
    needs_schema: bool = False
