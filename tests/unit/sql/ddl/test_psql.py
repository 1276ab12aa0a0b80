from __future__ import annotations

import pytest

from dbopt.sql.ddl import read
from dbopt.sql.ddl.model import Block
from dbopt.sql.ddl.psql import read_psql


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1;", ["select 1"]),
        ("\\set ON_ERROR_STOP on\n\\connect shop\ndrop table t;", ["drop table t"]),
        ("select 1;\n  \\echo it's done\ndrop table t;", ["select 1", "drop table t"]),
        ("-- x\n\\restrict abc\ndrop table t;", ["drop table t"]),
        ("select\n\\x\n;", ["select\n\\x"]),
        ("select $$\n\\x\n$$", ["select $$\n\\x\n$$"]),
        (
            "COPY public.t (a) FROM stdin;\n1\tit's\n;drop table u;\n\\.\n\ndrop table t;",
            ["COPY public.t (a) FROM stdin", "drop table t"],
        ),
        ("\\x\ncopy t from stdin;\ndrop table t", ["copy t from stdin", "drop table t"]),
        (
            "COPY t FROM STDIN\n  WITH (FORMAT csv);\nit's\n\\.\nDROP TABLE u;",
            ["COPY t FROM STDIN\n  WITH (FORMAT csv)", "DROP TABLE u"],
        ),
        ("\\copy t from stdin csv\nit's\n\\.\ndrop table t;", ["drop table t"]),
        ("select 'x'\\gexec\ndrop table t;", ["select 'x'", "drop table t"]),
        ("select 1 as a \\gset p_\ndrop table t;", ["select 1 as a", "drop table t"]),
        ("select 'a \\g'\n;", ["select 'a \\g'"]),
    ],
)
def test_what_the_server_gets(text: str, expected: list[str]) -> None:
    assert expected == [one.sql for one in read(text) if not isinstance(one.does, Block)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\\i a.sql\nselect 1;\n  \\ir b/c.sql\n", ["\\i a.sql", "\\ir b/c.sql"]),
        ("select 'drop table x' \\gexec\n", ["\\gexec"]),
        ("select 1 \\gset\n\\if true\n\\endif\n\\echo \\gexec\n", []),
        ("select '\n\\i a.sql'", []),
    ],
)
def test_what_runs_elsewhere_is_told(text: str, told: list[str]) -> None:
    found = [one for one in read(text) if isinstance(one.does, Block)]
    assert told == [one.sql for one in found] == [text[one.start : one.end] for one in found]
    assert not any(one.does.examined for one in found if isinstance(one.does, Block))


def test_both_branches_of_if_are_read() -> None:
    text = "\\if :x\ndrop table a;\n\\else\ndrop table b;\n\\endif\n"
    assert ["drop table a", "drop table b"] == [one.sql for one in read(text)]


def test_offsets_and_lines_stay() -> None:
    text = "\\set a b\r\ncopy t from stdin;\n1\n\\.\nselect 1;"
    blanked, _ = read_psql(text)
    assert len(text) == len(blanked)
    assert text.count("\n") == blanked.count("\n")
    assert ["copy t from stdin", "select 1"] == [text[one.start : one.end] for one in read(text)]
