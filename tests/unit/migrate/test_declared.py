from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from dbopt import resources
from dbopt.errors import DeclarationError
from dbopt.migrate.annotations import Annotations
from dbopt.migrate.declared import MAX_FILE, MAX_STATEMENTS, declared, read, read_file
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
        (f'CREATE INDEX "{"ü" * 32}" ON t (a)', "t.sql:1:1"),
        ("CREATE INDEX i ON ONLY t (a)", "t.sql:1:19: ONLY would leave"),
        ("\n  CREATE INDEX i\n ON\n  only t (a)", "t.sql:4:3: ONLY would leave"),
        ("CREATE INDEX i ON t (a", "t.sql:1:23: expected"),
        ("-- dbopt: owner=a, b\nCREATE INDEX i ON t (a)", "t.sql:1:20: expected key=value"),
        ("CREATE INDEX i ON t (a); -- dbopt: x=1", "t.sql:1:36: there is no key"),
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


def test_a_name_in_two_schemas_is_two_names(tmp_path: Path) -> None:
    _write(tmp_path, "a.sql", "CREATE INDEX i ON s.a (x); CREATE INDEX i ON b (x);")
    assert len(read(tmp_path)) == 2
    _write(tmp_path, "b.sql", "CREATE INDEX i ON public.a (x);")
    assert len(read(tmp_path)) == 3
    # Without its schema it is most likely that table.
    _write(tmp_path, "c.sql", "CREATE INDEX i ON public.b (y);")
    with pytest.raises(DeclarationError, match=r"c\.sql:1:1: .* declared at .*a\.sql:1:28 already"):
        read(tmp_path)


def test_how_to_build_is_not_what_is_wanted(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "a.sql",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a); CREATE INDEX j ON t (a);",
    )

    one, other = read(tmp_path)

    assert one.definition == replace(other.definition, name="i")


def test_comments_before_in_and_behind_a_statement_are_its_own(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "a.sql",
        """/* of all */
-- why: signing in
-- dbopt: owner=ann
CREATE INDEX i -- within
  ON t (a); -- dbopt: expires=2026-12-31
-- dbopt: owner=bob
-- dbopt:ignore wide
CREATE INDEX j ON t (b) /* dbopt:
  advice=x */;
CREATE INDEX k ON t (c); -- of k
-- of nobody
""",
    )

    assert [one.annotations for one in read(tmp_path)] == [
        Annotations(
            "ann", "signing in", date(2026, 12, 31), "", ("of all", "why: signing in", "within")
        ),
        Annotations("bob", "", None, "x", ("dbopt:ignore wide",)),
        Annotations(comments=("of k",)),
    ]


def test_a_place_has_its_column(tmp_path: Path) -> None:
    _write(tmp_path, "a.sql", "CREATE INDEX i ON t (a);  CREATE INDEX j ON t (b);")

    assert [(one.where, one.place) for one in read(tmp_path)] == [
        (f"{tmp_path}/a.sql:1", f"{tmp_path}/a.sql:1:1"),
        (f"{tmp_path}/a.sql:1", f"{tmp_path}/a.sql:1:27"),
    ]


def test_a_byte_order_mark_and_carriage_returns_are_no_matter(tmp_path: Path) -> None:
    text = '-- why: x\r\nCREATE INDEX i ON t (a);\r\n\r\nCREATE INDEX "ö" ON "ß" (a);'
    (tmp_path / "t.sql").write_bytes(b"\xef\xbb\xbf" + text.encode())

    one, other = read(tmp_path)

    assert (one.line, one.column, one.annotations.reason) == (2, 1, "x")
    assert (other.line, other.definition.name, other.definition.table) == (4, "ö", "ß")


def test_files_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "t.sql"
    file.write_text("-" * (MAX_FILE + 1))
    with pytest.raises(DeclarationError, match=r"t\.sql: is longer than 1,000,000 bytes"):
        read_file(file)
    file.write_text("CREATE INDEX i ON t (a);" * (MAX_STATEMENTS + 1))
    with pytest.raises(DeclarationError, match=r"t\.sql: has more than 2000 statements"):
        read_file(file)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")

    with pytest.raises(DeclarationError, match=r"pipe\.sql: is no file"):
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
