from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbopt.migrate import indexrules
from dbopt.migrate.indexrules import RULES
from dbopt.migrate.indexrules.support import Rule, conjuncts
from tests.unit.migrate.indexrules.asking import SAMPLE, declarations, matches, said

PACKAGE = Path(indexrules.__file__).parent
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
BY_NAME = {rule.name: rule for rule in RULES}


@each_rule
def test_the_example_fires(rule: Rule, tmp_path: Path) -> None:
    assert matches(rule, tmp_path, rule.fires)


@each_rule
def test_the_counterexample_passes(rule: Rule, tmp_path: Path) -> None:
    assert [] == matches(rule, tmp_path, rule.passes)


@each_rule
def test_is_documented(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    for text in (rule.summary, rule.reason, rule.remedy):
        assert text[0].isupper()
        assert text.endswith((".", ")", "`"))


def test_one_file_a_rule() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "support"}
    assert files == {rule.name.replace("-", "_") for rule in RULES}
    assert [rule.name for rule in RULES] == sorted(rule.name for rule in RULES)


@each_rule
def test_one_that_needs_a_database_finds_nothing_without_one(rule: Rule, tmp_path: Path) -> None:
    if rule.needs_schema and rule.name != "unknown-column":
        assert [] == list(rule.check(declarations(tmp_path, rule.fires)))


CASES = [
    # rule, declared, [(index, severity)]
    ("duplicate-index", "CREATE INDEX a ON t (x); CREATE UNIQUE INDEX b ON t (x);", []),
    (
        "duplicate-index",
        "CREATE INDEX a ON t (x); CREATE INDEX b ON t (x); CREATE INDEX c ON t (x);",
        [("b", "warning"), ("c", "warning")],
    ),
    ("redundant-index", "CREATE INDEX a ON t (x); CREATE INDEX b ON t (x) WHERE y > 5;", []),
    ("redundant-index", "CREATE INDEX a ON t (x); CREATE INDEX b ON u (x, y);", []),
    ("redundant-index", "CREATE INDEX a ON t (x, y); CREATE INDEX b ON t (x);", [("b", "warning")]),
    ("too-many-columns", "CREATE INDEX a ON t USING gin (v, w, x, y);", []),
    ("too-many-columns", "CREATE INDEX a ON t (v, w, x) INCLUDE (y);", []),
    ("leftover-name", "CREATE INDEX a_dbopt_new ON t (x);", [("a_dbopt_new", "critical")]),
    ("leftover-name", "CREATE INDEX a_ccnew1 ON t (x);", [("a_ccnew1", "critical")]),
    ("expires-soon", "-- dbopt: expires=2026-02-01\nCREATE INDEX a ON t (x);", [("a", "info")]),
    ("expires-soon", "-- dbopt: expires=2026-03-04\nCREATE INDEX a ON t (x);", []),
    ("expired", "-- dbopt: expires=2026-02-01\nCREATE INDEX a ON t (x);", []),
    ("expired", "-- dbopt: expires=2026-01-31\nCREATE INDEX a ON t (x);", [("a", "warning")]),
    ("nobody-knows-why", "-- dbopt: owner=billing\nCREATE INDEX a ON t (x);", []),
    ("nobody-knows-why", "-- a comment\nCREATE INDEX a ON t (x);", [("a", "info")]),
    ("nullable-unique", "CREATE UNIQUE INDEX a ON t (maybe) WHERE maybe IS NOT NULL;", []),
    ("nullable-unique", "CREATE UNIQUE INDEX a ON t (id, maybe, flag);", [("a", "info")]),
    ("nullable-unique", "CREATE INDEX a ON t (maybe);", []),
    ("low-selectivity", "CREATE INDEX a ON t (status, id);", [("a", "info")]),
    ("low-selectivity", "CREATE INDEX a ON t USING gin (status);", []),
    ("low-selectivity", "CREATE INDEX a ON t (lower(status));", []),
    ("boolean-key", "CREATE INDEX a ON t ((NOT flag));", []),
    ("json-key", "CREATE INDEX a ON t USING gin (old_document);", [("a", "critical")]),
    ("json-key", "CREATE INDEX a ON t USING gin (document);", [("a", "info")]),
    ("json-key", "CREATE INDEX a ON t ((document ->> 'x'));", []),
    ("constant-predicate", "CREATE INDEX a ON t (x) WHERE true;", [("a", "warning")]),
    ("constant-predicate", "CREATE INDEX a ON t (x) WHERE (1 = 1);", [("a", "warning")]),
    ("constant-predicate", "CREATE INDEX a ON t (x) WHERE y = 1 OR true;", []),
    ("constant-predicate", "CREATE INDEX a ON t (x) WHERE y BETWEEN 1 AND 2;", []),
    ("constant-key", "CREATE INDEX a ON t (x, y) WHERE y IS NULL AND z > 1;", [("a", "info")]),
    ("constant-key", "CREATE INDEX a ON t (x, y) WHERE y IS NOT NULL;", []),
    ("constant-key", "CREATE INDEX a ON t (x, y) WHERE y > 5;", []),
    ("covered-by-constraint", "CREATE UNIQUE INDEX t_pkey ON t (id);", []),
    ("covered-by-constraint", "CREATE INDEX a ON t (id, maybe);", []),
    ("not-immutable", "CREATE INDEX a ON t (date_trunc('day', made));", [("a", "info")]),
    ("not-immutable", "CREATE INDEX a ON t ((to_char(made, 'YYYY')));", [("a", "critical")]),
    ("not-immutable", "CREATE INDEX a ON t (x) WHERE d > CURRENT_DATE;", [("a", "critical")]),
    ("not-immutable", "CREATE INDEX a ON t (ours(x));", []),
    ("unsupported-by-method", "CREATE INDEX a ON t USING hash (x, y);", [("a", "critical")]),
    ("unsupported-by-method", "CREATE INDEX a ON t USING brin (x DESC);", [("a", "critical")]),
    (
        "unsupported-by-method",
        "CREATE INDEX a ON t USING gin (x) INCLUDE (y);",
        [("a", "critical")],
    ),
    ("unsupported-by-method", "CREATE INDEX a ON t USING gist (x) INCLUDE (y);", []),
    ("unsupported-by-method", "CREATE UNIQUE INDEX a ON t USING own (x);", []),
    ("repeated-column", "CREATE INDEX a ON t (x) INCLUDE (x);", [("a", "warning")]),
    ("repeated-column", "CREATE INDEX a ON t (x) INCLUDE (y, y);", [("a", "warning")]),
    ("repeated-column", "CREATE INDEX a ON t (x, x text_pattern_ops);", []),
    ("repeated-name", "CREATE INDEX a ON s.t (x); CREATE INDEX a ON t (x);", [("a", "critical")]),
    ("repeated-name", "CREATE INDEX a ON s.t (x); CREATE INDEX a ON u (x);", []),
    ("schema-missing", "CREATE INDEX a ON t (x); CREATE INDEX b ON t (y);", [("a", "info")]),
    ("superfluous-words", "CREATE INDEX concurrently_made ON t (x);", []),
    ("superfluous-words", "CREATE INDEX IF NOT EXISTS a ON t (x);", [("a", "info")]),
    ("unknown-column", "CREATE INDEX a ON nothing (x);", [("a", "critical")]),
    ("unknown-column", "CREATE INDEX a ON v (id);", [("a", "critical")]),
    ("unknown-column", "CREATE INDEX a ON t (id) INCLUDE (stats);", [("a", "critical")]),
]


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_a_case(name: str, text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    assert expected == said(BY_NAME[name], tmp_path, text)


def test_two_files_of_one_table(tmp_path: Path) -> None:
    one, two = "CREATE INDEX a ON t (x);", "CREATE INDEX b ON t (y);"
    assert [("b", "info")] == said(BY_NAME["one-file-per-table"], tmp_path, one, two)


def test_a_column_that_is_never_null_needs_no_predicate(tmp_path: Path) -> None:
    text = "CREATE INDEX a ON t (maybe) WHERE id IS NOT NULL AND maybe IS NOT NULL;"
    found = declarations(tmp_path, text, schema=SAMPLE)
    (match,) = BY_NAME["constant-predicate"].check(found)
    assert '"id" is NOT NULL, so that part of the predicate is always true.' == match.message


def test_a_name_that_is_nearly_right_is_told(tmp_path: Path) -> None:
    (match,) = matches(BY_NAME["unknown-column"], tmp_path, "CREATE INDEX a ON t (idd);")
    assert 'Did you mean "id"?' == match.remedy


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("a = 1", ["a = 1"]),
        ("((a = 1) AND (b = 2))", ["a = 1", "b = 2"]),
        ("a BETWEEN 1 AND 2 AND b", ["a BETWEEN 1 AND 2", "b"]),
        ("a AND b OR c", ["a AND b OR c"]),
        ("(a OR b) AND c", ["a OR b", "c"]),
    ],
)
def test_the_parts_of_a_predicate(predicate: str, expected: list[str]) -> None:
    parts = [" ".join(token.text for token in part) for part in conjuncts(predicate)]
    assert expected == parts
