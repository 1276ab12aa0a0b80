"""What `dbopt query lint` says of a text: findings, mistakes, rewrites that were checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbopt.cli.querycatalog import Catalog
from dbopt.cli.querytext import Part, Source
from dbopt.pg.mistake import server_mistake
from dbopt.pg.rewrite import RewriteCheck, check_rewrite
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.kinds import QUERIES, first_kind
from dbopt.sql.lint import UNPARSED, lint
from dbopt.sql.mistake import Mistake, find_mistake, hidden, without_constants
from dbopt.sql.parse import Statement
from dbopt.sql.rules.support import Rule
from dbopt.sql.split import position

SYNTAX = "syntax"
"""The rule of a text that PostgreSQL would refuse."""

NOT_RENDERED = "not-rendered"
"""The rule of a revision whose SQL cannot be had without a database."""
UNREADABLE = frozenset({SYNTAX, NOT_RENDERED})

_TAKEN = "Not examined: PostgreSQL takes it, and dbopt's parser does not."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding stands, as offsets in its text."""

    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One finding of one text, fit to be shown.

    `rewrite` is offered: it was checked. `check` is what was found out about a rewrite, offered
    or not. `original` is the statement.
    """

    source: Source
    finding: Finding
    place: Place | None = None
    original: str = ""
    rewrite: str = ""
    check: RewriteCheck | None = None

    @property
    def is_mistake(self) -> bool:
        """Whether the input could not be read, so that nothing else was found out."""
        return self.finding.rule in UNREADABLE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready types: the finding, its file, and the rewrite with its proof."""
        evidence = {k: v for k, v in self.finding.evidence.items() if k != "rewrite"}
        found = {"file": self.source.name, **replace(self.finding, evidence=evidence).to_dict()}
        found["rewrite"] = self.rewrite
        if self.check is not None:
            check = self.check
            found["check"] = {
                "equal": check.equal, "compared_rows": check.compared_rows,
                "cost_before": check.cost_before, "cost_after": check.cost_after,
                "why": check.why,
            }  # fmt: skip
        return found


def examine(
    source: Source,
    rules: Sequence[Rule],
    ignored: Sequence[str],
    catalog: Catalog | None,
    prove: bool = True,
) -> Iterator[Said]:
    """The findings of one text, in its order. With a catalog, rewrites are checked if `prove`."""
    for part in source.parts():
        for found in lint(part.text, catalog.schema if catalog else None, rules, ignored):
            finding, place = _placed(source, part, found)
            if place is None:
                yield Said(source, finding)
                continue
            statement = source.statements[finding.evidence["statement"] - 1]
            if finding.rule == UNPARSED:
                yield _unparsed(source, finding, place, statement, catalog)
            else:
                yield _said(source, finding, place, statement, catalog if prove else None)


def _placed(source: Source, part: Part, finding: Finding) -> tuple[Finding, Place | None]:
    """A finding of a part as one of the whole text."""
    evidence = dict(finding.evidence)
    if "statement" not in evidence:
        return finding, None
    evidence["statement"] += part.first
    offsets = {}
    for line, column in (("line", "column"), ("end_line", "end_column")):
        if line in evidence:
            offsets[line] = part.start + offset_of(part.text, evidence[line], evidence[column])
            evidence[line], evidence[column] = position(source.text, offsets[line])
    where = f"{evidence['line']}:{evidence['column']}"
    place = Place(offsets["line"], offsets.get("end_line"))
    return replace(finding, object=where, evidence=evidence), place


def mistake_in(source: Source, statement: Statement, catalog: Catalog | None) -> Mistake | None:
    """What is wrong with a statement that could not be parsed: the server's word, else ours."""
    ours = find_mistake(statement)
    # PREPARE takes nothing else; and an open quote would be read with what we put before it.
    is_query = first_kind(statement.words) in QUERIES and not (ours and ours.certain)
    if catalog is None or not is_query:
        return ours
    return server_mistake(catalog.connection, statement, words=source.typed)


def complaint(source: Source, mistake: Mistake) -> str:
    """The mistake for a person: its place, the reason, the line and a caret."""
    line, carets = source.excerpt(mistake.offset)
    return f"{source.where(mistake.offset)}: {mistake.reason}.\n  {line}\n  {carets}"


def _unparsed(
    source: Source,
    finding: Finding,
    place: Place,
    statement: Statement,
    catalog: Catalog | None,
) -> Said:
    mistake = mistake_in(source, statement, catalog)
    if mistake is None:
        taken = catalog is not None and first_kind(statement.words) in QUERIES
        unread = replace(finding, message=_TAKEN, examined=False, remedy="") if taken else finding
        return Said(source, unread, place, _text(source, statement))
    line, column = position(source.text, mistake.offset)
    evidence = {
        "line": line, "column": column, "statement": finding.evidence["statement"],
        "fingerprint": finding.evidence.get("fingerprint", ""),
    }  # fmt: skip
    if mistake.certain:
        message, remedy = f"Is not SQL: {mistake.reason}.", ""
        found = Finding(SYNTAX, Severity.CRITICAL, f"{line}:{column}", message, evidence, remedy)
    else:
        found = replace(
            finding,
            object=f"{line}:{column}",
            message=f"Cannot be parsed: {mistake.reason}.",
            evidence=evidence,
        )
    return Said(source, found, Place(mistake.offset), _text(source, statement))


def _said(
    source: Source, finding: Finding, place: Place, statement: Statement, catalog: Catalog | None
) -> Said:
    rewrite, check = str(finding.evidence.get("rewrite", "")), None
    if rewrite and catalog is not None:
        check = check_rewrite(catalog.connection, statement.text, rewrite, catalog.schema)
    offered = rewrite if check is not None and check.offered else ""
    if not source.typed:
        finding = _without_constants(finding, statement)
        offered = without_constants(offered, statement)
    return Said(source, finding, place, _text(source, statement), offered, check)


def _text(source: Source, statement: Statement) -> str:
    text = " ".join(statement.text.split())
    return text if source.typed else without_constants(text, statement)


def _without_constants(finding: Finding, statement: Statement) -> Finding:
    evidence = {
        key: hidden(value, statement) if isinstance(value, str) and key != "fingerprint" else value
        for key, value in finding.evidence.items()
        if key != "rewrite"
    }
    return replace(
        finding,
        message=hidden(finding.message, statement),
        remedy=hidden(finding.remedy, statement),
        evidence=evidence,
    )


def offset_of(text: str, line: int, column: int) -> int:
    """The offset in characters of a line and column, both from 1."""
    at = 0
    for _ in range(line - 1):
        at = text.index("\n", at) + 1
    return at + column - 1
