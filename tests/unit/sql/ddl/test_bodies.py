from __future__ import annotations

import pytest

from dbopt.sql.ddl.bodies import Body, body_in, statements_in
from dbopt.sql.lexer import code


def body_of(text: str) -> Body | None:
    return body_in(code(text))


def statements(block: str) -> list[str] | None:
    text = f"select 1; DO $x$ {block} $x$"
    body = body_in(code(text)[3:])
    assert body is not None
    found = statements_in(text, body)
    for one in found or ():
        start = one.tokens[0].start
        assert text[start : start + len(one.text)] == one.text
    return None if found is None else [one.text for one in found]


@pytest.mark.parametrize(
    ("text", "language", "code_"),
    [
        ("DO $$a$$", "plpgsql", "a"),
        ("do language plpgsql $b$a$b$", "plpgsql", "a"),
        ("DO $$a$$ LANGUAGE 'plpgsql'", "plpgsql", "a"),
        ("DO 'a b'", "plpgsql", "a b"),
        ("CREATE FUNCTION f(a text DEFAULT 'x') RETURNS int AS $$a$$ LANGUAGE sql", "sql", "a"),
        ("CREATE PROCEDURE f() LANGUAGE plpgsql AS $$a$$", "plpgsql", "a"),
    ],
)
def test_the_body_and_its_language(text: str, language: str, code_: str) -> None:
    found = body_of(text)
    assert found is not None
    inner = found.inner
    assert (language, code_) == (found.language, text[inner.start : inner.end])
    assert text[found.quoted.start : inner.start] == text[inner.end : found.quoted.end]


@pytest.mark.parametrize(
    "text",
    [
        "DO $$a",
        "DO 'it''s'",
        "DO E'a'",
        "DO",
        "DO $$a$$ LANGUAGE plpython3u",
        "CREATE FUNCTION f() RETURNS int AS 'lib', 'f' LANGUAGE c",
        "CREATE FUNCTION f() RETURNS int RETURN 1",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$a$$",
    ],
)
def test_what_nobody_can_read(text: str) -> None:
    assert body_of(text) is None


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("BEGIN DROP TABLE a; DROP TABLE b; END", ["DROP TABLE a", "DROP TABLE b"]),
        ("<<x>> DECLARE a int := 1; b CURSOR FOR SELECT 1; BEGIN c; END x;", ["c"]),
        ("BEGIN IF a THEN b; ELSIF c THEN d; ELSE e; END IF; f; END", ["b", "d", "e", "f"]),
        ("BEGIN IF CASE WHEN a THEN b END THEN c; END IF; END", ["c"]),
        ("BEGIN CASE a WHEN 1 THEN b; ELSE c; END CASE; d; END", ["b", "c", "d"]),
        ("BEGIN WHILE a LOOP b; EXIT WHEN c; END LOOP; d; END", ["b", "EXIT WHEN c", "d"]),
        ("BEGIN FOR a IN 1..2 LOOP b; END LOOP; END", ["b"]),
        ("BEGIN FOR a IN SELECT b FROM c LOOP d; END LOOP; END", ["SELECT b FROM c", "d"]),
        ("BEGIN FOR a IN EXECUTE b LOOP c; END LOOP; END", ["EXECUTE b", "c"]),
        ("BEGIN FOREACH a IN ARRAY b LOOP c; END LOOP; END", ["c"]),
        ("BEGIN a; DECLARE b int; BEGIN c; END; d; END", ["a", "c", "d"]),
        ("BEGIN a; EXCEPTION WHEN b OR c THEN d; WHEN others THEN e; END", ["a", "d", "e"]),
        ("BEGIN RAISE EXCEPTION 'a;b %', c; END", ["RAISE EXCEPTION 'a;b %', c"]),
        (
            "BEGIN a := (SELECT CASE WHEN b THEN 1 END); END",
            ["a := (SELECT CASE WHEN b THEN 1 END)"],
        ),
        ("BEGIN /* a; */ b; -- c;\n END", ["b"]),
        ("#print_strict_params on\nBEGIN a; END", ["a"]),
        ("#option dump #variable_conflict error <<x>> DECLARE a int; BEGIN b; END", ["b"]),
        ("#", None),
        ("BEGIN END", []),
        ("", None),
        ("BEGIN a;", None),
        ("drop table a", None),
    ],
)
def test_the_statements_of_a_block(block: str, found: list[str] | None) -> None:
    assert found == statements(block)
