from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.sql.parse import split
from dbopt.sql.rules import RULES
from dbopt.sql.rules.support import Rule
from dbopt.sql.schema import Schema
from dbopt.sql.script import Script, script
from tests.unit.sql.rules.asking import matches, matches_of
from tests.unit.sql.rules.sample import SAMPLE

DATA = Path(__file__).parent.parent / "data"
GARBAGE = [
    "",
    ";",
    "selec * from",
    "select * from t where (",
    "select 'x",
    "\x00\ud800 select",
    "))((",
    "select * from t order by",
    "select " + "(" * 300,
    "with x as (select 1",
    "select 1 from " + ", ".join(f"t{n}" for n in range(300)),
    "select * from t where " + " and ".join(f"a{n} = {n}" for n in range(2000)),
    "select * from t where a in (" + ", ".join(["1"] * 5000) + ")",
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def corpus() -> list[str]:
    found = []
    for path in sorted(DATA.glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and line[0] != "#":
                found.append(line.split("\t")[0].replace("␤", "\n").replace("·", " "))
    return found


def known(rule: Rule) -> Schema | None:
    """What the rule's examples are read with."""
    return SAMPLE if rule.needs_schema else None


@each_rule
def test_the_example_fires(rule: Rule) -> None:
    assert matches(rule, rule.fires, known(rule))


@each_rule
def test_the_counterexample_passes(rule: Rule) -> None:
    assert [] == matches(rule, rule.passes, known(rule))


@each_rule
def test_is_documented(rule: Rule) -> None:
    for text in (rule.summary, rule.reason, rule.remedy):
        assert text.endswith(".")
        assert text == text.strip()
        assert len(text) >= 20
    assert rule.check is not None or rule.check_script is not None


@each_rule
def test_examples_can_be_read(rule: Rule) -> None:
    for text in (rule.fires, rule.passes):
        assert split(text)
        assert text == text.strip()


@pytest.fixture(scope="module", params=[None, SAMPLE], ids=["blind", "schema"])
def read(request: pytest.FixtureRequest) -> list[tuple[str, Script]]:
    """Many texts, each read once for all rules, as lint does."""
    examples = [text for rule in RULES for text in (rule.fires, rule.passes)]
    return [(text, script(text, request.param)) for text in [*corpus(), *GARBAGE, *examples]]


@each_rule
def test_no_text_makes_it_raise(rule: Rule, read: list[tuple[str, Script]]) -> None:
    for text, whole in read:
        for match in matches_of(rule, whole):
            assert match.message
            assert match.subject.sql in text


@each_rule
def test_leaves_the_tree_as_it_was(rule: Rule) -> None:
    for text in (rule.fires, rule.passes):
        whole = script(text, SAMPLE)
        trees = [subject.tree.sql() if subject.tree else "" for subject in whole.subjects]
        for subject in whole.subjects:
            list(rule.check(subject) if rule.check else ())
        list(rule.check_script(whole) if rule.check_script else ())
        assert trees == [s.tree.sql() if s.tree else "" for s in whole.subjects]


def test_names_are_unique_and_in_order() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(set(names)) == names
    assert all(name == name.lower() and name.replace("-", "").isalpha() for name in names)
