from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.migrate.indexlint import RULES, Looked, lint_declared, read_declared
from dbopt.migrate.indexrules.support import Rule
from tests.unit.migrate.indexrules.asking import SAMPLE, TODAY

TEXT = """\
-- why: signing in
CREATE INDEX a ON t (x); CREATE INDEX b
    ON t (x, y);
"""


def looked(directory: Path, text: str, **more: object) -> Looked:
    Path(directory, "t.sql").write_text(text, encoding="utf-8")
    entries, texts, mistakes = read_declared([directory])
    assert [] == mistakes
    return Looked(tuple(entries), texts, TODAY, **more)  # type: ignore[arg-type]


def said(found: Looked, *names: str) -> list[tuple[str, str, bool]]:
    rules = [rule for rule in RULES if rule.name in names]
    return [(one.rule, one.object, one.examined) for _, one in lint_declared(found, rules)]


def test_findings_by_their_place(tmp_path: Path) -> None:
    found = looked(tmp_path, TEXT)
    assert [("redundant-index", "2:1", True), ("nobody-knows-why", "2:26", True)] == said(
        found, "nobody-knows-why", "redundant-index"
    )
    (_, finding), *_ = lint_declared(found, [r for r in RULES if r.name == "nobody-knows-why"])
    place = {name: finding.evidence[name] for name in ("line", "column", "end_line", "end_column")}
    assert {"line": 2, "column": 26, "end_line": 3, "end_column": 16} == place


def test_a_rule_that_needs_a_database_says_that_it_has_not_looked(tmp_path: Path) -> None:
    text = "CREATE INDEX a ON public.t (idd);"
    assert [("unknown-column", "", False)] == said(looked(tmp_path, text), "unknown-column")
    with_schema = looked(tmp_path, text, schema=SAMPLE)
    assert [("unknown-column", "1:1", True)] == said(with_schema, "unknown-column")
    assert [] == said(looked(tmp_path, ""), "unknown-column")


@pytest.mark.parametrize("marker", ["all", "redundant-index", "hash-index, redundant-index"])
def test_markers(tmp_path: Path, marker: str) -> None:
    found = looked(tmp_path, f"-- dbopt:ignore {marker} it is small\n{TEXT}")
    assert [] == said(found, "redundant-index")


def test_ignored_rules(tmp_path: Path) -> None:
    assert [] == lint_declared(looked(tmp_path, ""), RULES)
    found = looked(tmp_path, TEXT)
    rules = [one.rule for _, one in lint_declared(found, RULES, ["redundant-index"])]
    assert "redundant-index" not in rules


def test_places_with_other_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.sql"
    path.write_bytes(b"\xef\xbb\xbf-- why\r\n\r\nCREATE INDEX a\r\n ON t (x DESC);\r\n")
    (entry,), texts, _ = read_declared([path])
    assert (3, 1, "CREATE INDEX a\n ON t (x DESC)") == (entry.line, entry.column, entry.sql)
    assert texts[str(path)].startswith("-- why\n\n")


def test_mistakes_have_their_place_and_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("CREATE INDEX a ON t (x);\nCREATE INDEX b ON t x;")
    (tmp_path / "b.sql").write_text("CREATE INDEX c ON t (x);")
    (tmp_path / "c.sql").mkdir()
    entries, _, mistakes = read_declared([tmp_path, tmp_path / "b.sql"])
    assert ["c"] == [entry.definition.name for entry in entries]
    first, second = mistakes
    assert (str(tmp_path / "a.sql"), 2, 21) == (first.file, first.line, first.column)
    assert 'expected "(", found "x".' == first.message
    assert (str(tmp_path / "c.sql"), 1, 1, "is no file.") == (
        second.file, second.line, second.column, second.message,
    )  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_evidence_says_nothing_else_of_the_place(tmp_path: Path, rule: Rule) -> None:
    pattern = "ix_.*" if rule.name == "name-pattern" else ""
    found = lint_declared(looked(tmp_path, rule.fires, schema=SAMPLE, pattern=pattern), [rule])
    assert found
    for entry, finding in found:
        assert entry is not None
        assert (entry.line, entry.column) == (finding.evidence["line"], finding.evidence["column"])
        assert entry.definition.name == finding.evidence["index"]
