from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from dbopt.cli.lintoutput import Asked, chosen, leave, options
from dbopt.cli.querylint import NOT_RENDERED, SYNTAX, Place, Said
from dbopt.cli.queryshow import github
from dbopt.cli.querytext import Source
from dbopt.errors import UsageError
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.rules import RULES


def said(rule: str, severity: Severity, *, examined: bool = True, placed: bool = True) -> Said:
    evidence = {"line": 1, "column": 1}
    finding = Finding(rule, severity, "1:1", "100%: so\nso", evidence, "", examined)
    return Said(Source("SELECT 1", "a,b.sql"), finding, Place(0) if placed else None)


@pytest.mark.parametrize(
    ("findings", "fail_on", "code"),
    [
        ([], "info", 0),
        ([said("a", Severity.INFO)], "info", 1),
        ([said("a", Severity.INFO)], "warning", 0),
        ([said("a", Severity.CRITICAL)], "never", 0),
        ([said("a", Severity.CRITICAL, examined=False)], "info", 0),
        ([said(SYNTAX, Severity.CRITICAL)], "never", 2),
        ([said("unread", Severity.WARNING, examined=False)], "warning", 2),
        ([said(NOT_RENDERED, Severity.CRITICAL), said("a", Severity.CRITICAL)], "info", 2),
    ],
)
def test_exit_codes(findings: list[Said], fail_on: str, code: int) -> None:
    asked = Asked((), (), list_rules=False, fail_on=fail_on, form="text")
    if code == 0:
        leave(findings, asked)
        return
    with pytest.raises(SystemExit) as end:
        leave(findings, asked)
    assert code == end.value.code


def test_rules_that_are_chosen() -> None:
    names = [rule.name for rule in RULES]
    assert names == [rule.name for rule in chosen(RULES, (), (), "x")]
    assert names[1:2] == [rule.name for rule in chosen(RULES, (names[1],), (), "x")]
    assert names[1:] == [rule.name for rule in chosen(RULES, (), names[:1], "x", ("other",))]
    assert names == [rule.name for rule in chosen(RULES, (), ("other",), "x", ("other",))]
    with pytest.raises(UsageError, match=r"lock-ordre: there is no such rule\.") as error:
        chosen(RULES, ("lock-ordre",), (), "x")
    assert "Did you mean lock-order?" == error.value.hint
    with pytest.raises(UsageError) as error:
        chosen(RULES, (), ("qqqq",), "dbopt x")
    assert "`dbopt x --rules` lists all." == error.value.hint


def test_annotations_are_escaped() -> None:
    assert github([said("a", Severity.CRITICAL)]) == (
        "::error file=a%2Cb.sql,line=1,col=1,title=a::100%25: so%0Aso"
    )


def test_what_was_not_examined_at_a_place_is_annotated() -> None:
    unseen = [said("unread", Severity.INFO, examined=False)]
    assert github(unseen).startswith("::notice file=a%2Cb.sql")
    assert "" == github([said("a", Severity.INFO, examined=False, placed=False)])


def test_options_are_in_their_order() -> None:
    @click.command()
    @options(fail_on="critical")
    def command(**_given: object) -> None:
        pass

    out = CliRunner().invoke(command, ["--help"]).output
    listed = ["--rule NAME", "--ignore NAME", "--rules", "--fail-on", "--format", "--json"]
    at = [out.index(f"  {name}") for name in listed]
    assert sorted(at) == at
    assert "[default: critical]" in out


def test_a_command_gets_them_as_one() -> None:
    told: list[Asked] = []

    @click.command()
    @options(fail_on="info")
    def command(asked: Asked) -> None:
        told.append(asked)

    words = ["--rule", "a", "--rule", "b", "--ignore", "c", "--json"]
    assert 0 == CliRunner().invoke(command, words).exit_code
    assert 0 == CliRunner().invoke(command, ["--rules", "--format", "github"]).exit_code
    assert [
        Asked(("a", "b"), ("c",), list_rules=False, fail_on="info", form="json"),
        Asked((), (), list_rules=True, fail_on="info", form="github"),
    ] == told
