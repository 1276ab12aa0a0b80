"""The texts that `dbopt migrate lint` reads, and what the rules say of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dbopt.cli.gitchanges import changed
from dbopt.cli.querylint import NOT_RENDERED, Place, Said, offset_of
from dbopt.cli.querytext import STDIN, Source, sources
from dbopt.errors import UsageError
from dbopt.migrate.revisionsource import RevisionSource, read, without_reason
from dbopt.settings import Settings
from dbopt.sql.ddl.model import Statement as Inner
from dbopt.sql.ddl.script import opened
from dbopt.sql.ddl.script import read as read_statements
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.lexer import code
from dbopt.sql.migration.ban_uncommitted_transaction import RULE as UNCOMMITTED
from dbopt.sql.migration.ignore_without_reason import RULE as WITHOUT_REASON
from dbopt.sql.migration.lint import called, lint_migration
from dbopt.sql.migration.support import Rule
from dbopt.sql.migration.transaction_nesting import RULE as NESTING
from dbopt.sql.migration.unexamined_block import RULE as UNEXAMINED
from dbopt.sql.mistake import hidden, without_constants
from dbopt.sql.parse import LONGEST_READ, Statement

if TYPE_CHECKING:
    from dbopt.migrate.render import Piece, Rendered

_REMEDY = (
    "Make upgrade() work with `alembic upgrade --sql`, or say why it cannot: "
    f"`# dbopt:ignore {NOT_RENDERED} reason` above it."
)


_ENDED = "The revision ends the transaction that Alembic has opened, and what follows has none."


@dataclass(frozen=True, slots=True)
class Linter:
    """What is asked of every text. `in_transaction`: a SQL file is run in a transaction.

    `literals`: findings may show the constants of the texts.
    """

    rules: tuple[Rule, ...]
    version: int
    in_transaction: bool
    literals: bool = False

    def lint(self, text: str, in_transaction: bool) -> list[Finding]:
        """The findings of one text."""
        return lint_migration(
            text, rules=self.rules, in_transaction=in_transaction, version=self.version
        )


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions to render: of which environment, None for dbopt's own; which of them; the
    arguments of `alembic -x`, and the section of the alembic.ini, "" for the usual one."""

    environment: Path | None
    chosen: str = ""
    arguments: tuple[str, ...] = ()
    section: str = ""
    since: str | None = None


def files(given: Sequence[str], since: str | None, *, literals: bool) -> list[Source]:
    """The SQL files that are named, of a folder those in it. Raises UsageError."""
    for name in given:
        if name != STDIN and not Path(name).exists():
            raise UsageError(f"{name}: there is no such file or folder.")
    keep = _wanted(since)
    return [
        one for one in sources(given, literals=literals) if not one.name or keep(Path(one.name))
    ]


def lint_files(linter: Linter, texts: Sequence[Source]) -> list[Said]:
    """The findings of each file, in their order."""
    said: list[Said] = []
    here = {Path(one.name).resolve() for one in texts if one.name}
    for source in texts:
        found = linter.lint(source.text, linter.in_transaction)
        shown, inner = _opened(source, found)
        said += [
            _said(shown, finding, _place(shown, finding), inner)
            for finding in found
            if not _includes_one(shown, finding, here)
        ]
    return said


def _includes_one(source: Source, finding: Finding, here: Collection[Path]) -> bool:
    r"""Whether it is about psql's `\i` of a file that is linted as well."""
    if finding.rule != UNEXAMINED.name:
        return False
    words = source.text.split("\n")[finding.evidence["line"] - 1].split()
    if len(words) < 2 or not words[0].startswith("\\i"):
        return False
    name = words[1].strip("'")
    return any(Path(folder, name).resolve() in here for folder in (Path(source.name).parent, "."))


def _opened(source: Source, found: Sequence[Finding]) -> tuple[Source, Sequence[Inner]]:
    """The text as it may be shown where a finding is in a DO block: the code in it is no constant.

    With the statements of that code, whose own constants are.
    """
    if all("within" not in one.evidence for one in found):
        return source, ()
    every = read_statements(source.text[:LONGEST_READ])
    inner = [one for one in every if one.within is not None]
    return replace(source, text=opened(source.text, every)), inner


def lint_revisions(
    linter: Linter, asked: Revisions, settings: Settings
) -> tuple[list[Source], list[Said]]:
    """The revisions' texts, by their Python files' names, and the findings."""
    # Alembic takes a while to import, and SQL files are linted without it.
    from dbopt.migrate import runner
    from dbopt.migrate.application import SECTION, application_config
    from dbopt.migrate.render import render

    config = (
        runner.config(settings)
        if asked.environment is None
        else application_config(asked.environment, asked.arguments, asked.section or SECTION)
    )
    texts: list[Source] = []
    said: list[Said] = []
    for one in render(config, asked.chosen, _wanted(asked.since)):
        source = Source(one.sql, _shown(one.file), typed=linter.literals)
        texts.append(source)
        said += _revision(linter, one, source)
    return texts, said


def _wanted(since: str | None) -> Callable[[Path], bool]:
    if since is None:
        return lambda file: True
    found = changed(since)
    return lambda file: file.resolve() in found


def _shown(file: Path) -> str:
    """A path as GitHub and editors want it: from here, if it lies below."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _place(source: Source, finding: Finding) -> Place | None:
    found = finding.evidence
    if "line" not in found:
        return None
    start = offset_of(source.text, found["line"], found["column"])
    if "end_line" not in found:
        return Place(start)
    return Place(start, offset_of(source.text, found["end_line"], found["end_column"]))


def _said(
    source: Source, finding: Finding, place: Place | None, inner: Sequence[Inner] = ()
) -> Said:
    """A finding as it may be shown: without the constants of a file."""
    instead = str(finding.evidence.get("instead", ""))
    evidence = {name: value for name, value in finding.evidence.items() if name != "instead"}
    finding = replace(finding, evidence=evidence)
    # What names the file that psql includes tells no constant.
    if not source.typed and place is not None and finding.rule != UNEXAMINED.name:
        statement = _statement(source, place.start, inner)
        if statement is None:
            return Said(source, finding, place)
        instead = without_constants(instead, statement)
        message, remedy = hidden(finding.message, statement), hidden(finding.remedy, statement)
        finding = replace(finding, message=message, remedy=remedy)
    return Said(source, finding, place, rewrite=instead)


def _statement(source: Source, offset: int, inner: Sequence[Inner]) -> Statement | None:
    """The statement around an offset; in a block not what its IF says, which names the table."""
    around = [one for one in inner if one.start <= offset < one.end]
    if around:
        closest = max(around, key=lambda one: one.start)
        return Statement(closest.sql, tuple(code(closest.sql)))
    for one in source.statements:
        start = one.tokens[0].start
        if start <= offset < start + len(one.text):
            return one
    return None


def _revision(linter: Linter, one: Rendered, source: Source) -> Iterator[Said]:
    python = read(one.file.read_text(encoding="utf-8-sig", errors="replace"))
    if one.error:
        finding = _not_rendered(one, python)
        if not python.ignores(NOT_RENDERED, one.error_line):
            yield Said(source, finding)
    found = linter.lint(source.text, in_transaction=False)
    source, inner = _opened(source, found)
    for finding in found:
        if one.error and finding.rule == UNCOMMITTED.name:
            continue  # Alembic's COMMIT comes behind what could not be rendered
        place = _place(source, finding)
        if place is None:
            yield Said(source, finding)
        elif (moved := _moved(one, python, finding, place)) is not None:
            yield _said(source, moved, place, inner)
    if WITHOUT_REASON in linter.rules:
        yield from (Said(source, finding) for finding in _unreasoned(one, python))


def _moved(one: Rendered, python: RevisionSource, finding: Finding, place: Place) -> Finding | None:
    """The finding where it stands in the revision's file; None if a comment there ignores it."""
    piece, line, column = _in_python(one, python, place.start)
    if any(python.ignores(finding.rule, where) for where in {line, piece.line}):
        return None
    if finding.rule == NESTING.name and not piece.line:
        finding = replace(finding, message=_ENDED)
    evidence = {k: v for k, v in finding.evidence.items() if not k.startswith("end_")}
    if sql_line := evidence.get("called_line"):
        name = evidence["within"]
        _, where, _ = _in_python(one, python, offset_of(one.sql, sql_line, 1))
        evidence["called_line"] = where
        message = finding.message.replace(called(name, sql_line), called(name, where))
        finding = replace(finding, message=message)
    evidence |= {
        "line": line, "column": column, "revision": one.revision,
        "sql_line": finding.evidence["line"],
    }  # fmt: skip
    return replace(finding, object=f"{line}:{column}", evidence=evidence)


def _in_python(one: Rendered, python: RevisionSource, offset: int) -> tuple[Piece, int, int]:
    """What has sent the SQL at an offset, and the line and column of it in the revision's file."""
    piece, start = one.piece_at(offset)
    at = offset - start
    above = piece.text.rfind("\n", 0, at) + 1
    text = piece.text[above:].split("\n", 1)[0]
    return piece, *python.place(piece.line, text, at - above)


def _not_rendered(one: Rendered, python: RevisionSource) -> Finding:
    line, column = python.place(one.error_line, "")
    evidence = {"line": line, "column": column, "revision": one.revision}
    message = f"The SQL of revision {one.revision} cannot be rendered offline: {one.error}"
    where = f"{line}:{column}"
    return Finding(NOT_RENDERED, Severity.CRITICAL, where, message, evidence, _REMEDY)


def _unreasoned(one: Rendered, python: RevisionSource) -> Iterator[Finding]:
    for marker in without_reason(python.markers):
        yield Finding(
            WITHOUT_REASON.name,
            WITHOUT_REASON.severity,
            f"{marker.line}:1",
            "A dbopt:ignore that does not say why.",
            {"line": marker.line, "column": 1, "revision": one.revision},
            WITHOUT_REASON.remedy,
        )
