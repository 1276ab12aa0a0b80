from __future__ import annotations

from pathlib import Path

import pytest

from dbopt import resources
from dbopt.errors import DeclarationError
from dbopt.migrate.declared import declared, read
from dbopt.settings import Index, Settings
from dbopt.sql.indexdef import IndexKey


def _write(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text, encoding="utf-8")


def test_files_in_order_and_each_statement_with_its_line(tmp_path: Path) -> None:
    _write(tmp_path, "b.sql", "CREATE INDEX third ON b (x);")
    _write(
        tmp_path,
        "a.sql",
        "-- why: a;b\nCREATE INDEX first ON a (x);\n\nCREATE INDEX second ON a (y)",
    )
    _write(tmp_path, "notes.txt", "not SQL")

    found = read(tmp_path)

    assert [(one.definition.name, one.file.name, one.line) for one in found] == [
        ("first", "a.sql", 2),
        ("second", "a.sql", 4),
        ("third", "b.sql", 1),
    ]
    assert found[0].definition.keys == (IndexKey("x"),)
    assert found[1].where == f"{tmp_path / 'a.sql'}:4"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("CREATE INDEX ok ON t (a);\n  DROP TABLE t;", "t.sql:2:3"),
        ("SELECT 1", "t.sql:1:1"),
        ("CREATE INDEX ON t (a)", "t.sql:1:1"),
        (f"CREATE INDEX {'x' * 64} ON t (a)", "t.sql:1:1"),
    ],
)
def test_what_is_no_named_index_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    _write(tmp_path, "t.sql", text)

    with pytest.raises(DeclarationError, match=place):
        read(tmp_path)


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "a.sql", "CREATE INDEX i ON a (x);")
    _write(tmp_path, "b.sql", "CREATE INDEX i ON b (x);")

    with pytest.raises(DeclarationError, match=r"b\.sql:1:1: .* declared at .*a\.sql:1:1 already"):
        read(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.sql").write_bytes(b"\xff\xfe")

    with pytest.raises(DeclarationError, match="cannot be read"):
        read(tmp_path)


def test_no_directory_where_none_was_configured_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert declared(Settings()) == []
    with pytest.raises(DeclarationError, match="is no directory"):
        declared(Settings(index=Index(directory="elsewhere")))


def test_the_shipped_declarations_can_be_read() -> None:
    found = read(resources.directory("indexes"))

    assert {"users", "lessons", "user_progress", "project_submissions"} == {
        one.definition.table for one in found
    }
