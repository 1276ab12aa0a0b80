"""`dbopt guard check`: what the guard says of statements, by this configuration."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import click
from msgspec.structs import asdict
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.cli.querytext import sources
from dbopt.errors import EXIT_FINDINGS, DboptError
from dbopt.gateway.routes import own_dsn
from dbopt.guard.policy import decide, needs_cost
from dbopt.guard.subject import Subject, subject
from dbopt.guardsettings import GuardRules, guard_rules
from dbopt.pg.connect import connect, resolve
from dbopt.pg.explain import explain_sync
from dbopt.pg.shown import printable
from dbopt.settings import Settings
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one statement. `where` is `file:line:column`, `line:column` without a file;
    `note` tells why its cost is not known, "" where it is."""

    where: str
    fingerprint: int
    verdict: Verdict
    note: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = {k: v for k, v in asdict(self.verdict).items() if k != "expires"}
        what = {"where": self.where, "fingerprint": fingerprint_hex(self.fingerprint)}
        return what | said | {"note": self.note}


@click.command(short_help="Say which statements the guard refuses, and why.")
@click.argument("given", metavar="[SQL|FILE|-]...", nargs=-1)
@click.option("--database", help="As clients name it. [default: server.dsn's]")
@click.option("--user", help="As clients name it. [default: server.dsn's]")
@click.option("--application", default="", help="Its application_name.")
@click.option("--route", default="", help="Its sqlcommenter tag.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(
    context: Context,
    given: tuple[str, ...],
    database: str | None,
    user: str | None,
    application: str,
    route: str,
    as_json: bool,
) -> None:
    """Say which statements the guard refuses, and why; exit 1 where there is one.

    The rules are asked whatever guard.mode is, one statement after the other. Only where
    guard.max_cost is set is the server asked. Quarantine is not looked at: see `list`.

    \b
    Examples:
      dbopt guard check "DELETE FROM orders"
      dbopt guard check report.sql --database app --application reports
      git show HEAD:query.sql | dbopt guard check - --json
    """
    settings = context.settings
    server = resolve(settings.server.dsn)
    database = database or server.get("dbname", "")
    rules = guard_rules(settings, database, user or server.get("user", ""), application, route)
    analyzer = Analyzer(settings.sql.complexity_limit, weights=settings.complexity)
    answers = [
        _answer(settings, rules, database, analyzer, source.where(one.tokens[0].start), one.text)
        for source in sources(given)
        for one in source.statements
    ]
    if as_json:
        print_json({"mode": rules.mode, "statements": [answer.to_dict() for answer in answers]})
    else:
        _show(context, rules, answers)
    if any(answer.verdict.refused for answer in answers):
        sys.exit(EXIT_FINDINGS)


def _answer(
    settings: Settings,
    rules: GuardRules,
    database: str,
    analyzer: Analyzer,
    where: str,
    sql: str,
) -> Answer:
    number = fingerprint(sql)
    found = subject(sql, number, analyzer.analyze)
    if found is None:
        return Answer(where, number, Verdict(), "")
    cost, note = _cost(settings, rules, database, found)
    return Answer(where, number, decide(found.query, rules, cost, inside=found.inside), note)


def _cost(
    settings: Settings, rules: GuardRules, database: str, found: Subject
) -> tuple[float | None, str]:
    """The planner's cost, or why it is not known."""
    if not found.sql or not needs_cost(found.query, rules):
        return None, ""
    try:
        dsn, timeout = own_dsn(settings, database), settings.server.connect_timeout
        with connect(dsn, timeout=timeout) as connection:
            return explain_sync(connection, found.sql).total_cost, ""
    except DboptError as error:
        return None, f"The planner's cost is not known: {error.message}"


def _show(context: Context, rules: GuardRules, answers: list[Answer]) -> None:
    console = context.console
    for answer in answers:
        verdict = answer.verdict
        head = f"{printable(answer.where)}: {fingerprint_hex(answer.fingerprint)} "
        if verdict.refused:
            console.print(Text(f"{head}refused ({verdict.rule}, {verdict.sqlstate})", style="red"))
        else:
            grade = f"{verdict.grade} {verdict.score}".strip()
            console.print(Text(f"{head}may run ({_allowed(verdict, grade)})"))
        for words in (verdict.message, verdict.detail, verdict.hint, answer.note):
            if words:
                console.print(Text(f"  {printable(words)}"))
    if rules.mode != "enforce":
        console.print(Text(f'guard.mode is "{rules.mode}" here: nothing is refused yet.'))


def _allowed(verdict: Verdict, grade: str) -> str:
    limits = [grade]
    if verdict.heavy:
        limits.append("by the lane of heavy statements")
    if verdict.timeout:
        limits.append(f"for {verdict.timeout:g} s at most")
    if verdict.max_rows:
        limits.append(f"{verdict.max_rows} rows at most")
    return ", ".join(limits)
