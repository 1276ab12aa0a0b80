from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from dbopt.cli import querytext
from dbopt.cli.querytext import Source, printed, sources
from dbopt.errors import UsageError


class _Piped(io.TextIOWrapper):
    def __init__(self, data: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sql_of_the_command_line() -> None:
    assert [Source("select 1", "", typed=True)] == sources(["select 1"])


def test_files_and_folders_in_order(folder: Path) -> None:
    for name in ("b.sql", "a.sql", "notes.txt", "sub/c.sql", ".git/d.sql"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("select 1")
    names = [one.name for one in sources([".", "notes.txt"])]
    assert ["a.sql", "b.sql", "sub/c.sql", "notes.txt"] == names
    assert not any(one.typed for one in sources(["a.sql"]))
    assert all(one.typed for one in sources(["a.sql"], literals=True))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ([], ["-"]):
        monkeypatch.setattr(sys, "stdin", _Piped(b"select 1"))
        assert [Source("select 1")] == sources(arguments)
    monkeypatch.setattr(sys, "stdin", _Piped(b"", terminal=True))
    with pytest.raises(UsageError, match=r"Nothing to read\. Give SQL, a file"):
        sources([])
    monkeypatch.setattr(sys, "stdin", _Piped(b""))
    with pytest.raises(UsageError, match=r"Standard input holds no SQL statement\."):
        sources(["-"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"select 1\0", "is no SQL text: it holds a NUL byte at 8. A binary file, or UTF-16?"),
        ("select 1".encode("utf-16"), "it holds a NUL byte at 3"),
        (b"select 1;\nselect '\xff'", "is no UTF-8 text: byte 0xff in line 2."),
        (b"x" * 1001, "is larger than 0 MB. It may be a dump."),
    ],
)
def test_what_is_no_text_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, words: str
) -> None:
    monkeypatch.setattr(querytext, "MAX_BYTES", 1000)
    (folder / "a.sql").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        sources(["a.sql"])
    assert str(caught.value).startswith("a.sql")
    assert words in str(caught.value)
    assert 2 == caught.value.exit_code


def test_a_huge_file_is_not_read_to_its_end(folder: Path) -> None:
    with (folder / "a.sql").open("wb") as file:
        os.truncate(file.fileno(), 100 << 30)  # a hole: it takes no space
    with pytest.raises(UsageError, match=r"a\.sql: is larger than 10 MB"):
        sources(["a.sql"])


def test_folders_without_sql_and_with_too_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"\.: holds no \.sql file\."):
        sources(["."])
    monkeypatch.setattr(querytext, "MAX_FILES", 1)
    for name in ("a.sql", "b.sql"):
        (folder / name).write_text("select 1")
    with pytest.raises(UsageError, match=r"\.: holds more than 1 \.sql files"):
        sources(["."])


def test_empty_files_are_passed_over(folder: Path) -> None:
    (folder / "a.sql").write_text("-- later\n")
    assert [] == sources(["."])
    assert [] == sources(["a.sql"])
    (folder / "b.sql").write_text("select 1")
    assert ["b.sql"] == [one.name for one in sources(["."])]


@pytest.mark.parametrize("argument", ["nosuch.sql", "queries/nosuch"])
def test_what_can_be_meant_as_a_file_alone_has_to_be_one(folder: Path, argument: str) -> None:
    with pytest.raises(UsageError, match=f"{argument}: there is no such file"):
        sources([argument])


@pytest.mark.parametrize("argument", ["select 1/2", "table t", "select 1\n-- x.sql", "s" * 5000])
def test_what_is_no_file_is_sql(folder: Path, argument: str) -> None:
    assert [argument] == [one.text for one in sources([argument])]


@pytest.mark.parametrize("argument", ["", "  ", ";", "/* */"])
def test_an_empty_argument_is_no_folder(folder: Path, argument: str) -> None:
    (folder / "a.sql").write_text("select 1")
    with pytest.raises(UsageError, match="The argument holds no SQL statement"):
        sources([argument])


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (folder / "a.sql").write_text("select 1")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"a\.sql: cannot be read: Permission denied"):
        sources(["a.sql"])


def test_a_byte_order_mark_is_no_part_of_it(folder: Path) -> None:
    (folder / "a.sql").write_bytes(b"\xef\xbb\xbfselect 1")
    (one,) = sources(["a.sql"])
    assert "a.sql:1:1" == one.where(one.statements[0].tokens[0].start)


def test_a_long_text_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querytext, "LONGEST_PARSED", 25)
    text = "select 1; select 2;\n-- c\nselect 3; select 'a long one that is too long'; select 4"
    parts = list(Source(text).parts())

    assert text == "".join(part.text for part in parts)
    assert [0, 2, 3, 4] == [part.first for part in parts]
    assert [0, 19, 34, 72] == [part.start for part in parts]
    assert parts[1].text == "\n-- c\nselect 3;"


def test_a_statement_is_shown_without_constants_unless_typed() -> None:
    text = "select 'secret',\n  42"
    assert "select $1, $2" == Source(text).shown(text)
    assert "select 'secret', 42" == Source(text, typed=True).shown(text)


def test_an_excerpt_hides_what_stands_before_on_its_line() -> None:
    text = "select 'secret'; select *\n from t"
    source = Source(text)
    line, carets = source.excerpt(text.index("*"))
    assert ("select 'xxxxxx'; select *", "*") == (line, line[carets.index("^")])
    inside = Source("select 'a\nsecret' from t")
    assert "xxxxxx' from t" == inside.excerpt(inside.text.index("from"))[0]


def test_what_json_says_of_a_statement() -> None:
    source = Source("select 1;\n  select 'x'", "a.sql")
    assert {
        "file": "a.sql",
        "line": 2,
        "column": 3,
        "fingerprint": printed(source, source.statements[0])["fingerprint"],
        "normalized": "select ?",
    } == printed(source, source.statements[1])
