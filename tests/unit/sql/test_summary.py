from __future__ import annotations

import pytest

from dbopt.sql.analyze import analyze
from dbopt.sql.redact import redact
from dbopt.sql.summary import LONGEST, collection, operation, placeholders, summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM songs s JOIN artists a ON a.id = s.artist WHERE s.id = 5",
         "SELECT songs artists"),
        ("/* app */ select 2", "SELECT"),
        ("WITH x AS (SELECT 1 FROM zeta) SELECT * FROM x, alpha", "SELECT zeta alpha"),
        ("INSERT INTO songs SELECT * FROM albums", "INSERT songs SELECT albums"),
        ("UPDATE songs SET x = 1 FROM artists a WHERE a.id = songs.id", "UPDATE songs artists"),
        ("DELETE FROM songs USING a WHERE a.x = songs.x", "DELETE songs a"),
        ("CREATE TABLE public.t (a int)", "CREATE TABLE public.t"),
        ("CREATE UNIQUE INDEX i ON songs (x)", "CREATE INDEX songs"),
        ("TRUNCATE songs", "TRUNCATE songs"),
        ("BEGIN", "BEGIN"),
        ("SET work_mem = '1MB'", "SET"),
        ("select 1; delete from t where x = 1", "DELETE t"),
        ("COPY songs FROM STDIN", "COPY songs"),
        ("EXPLAIN SELECT * FROM songs", "EXPLAIN songs"),
        ('SELECT * FROM "We ird".t', 'SELECT "We ird.t"'),
        ("SELEC 1", "postgresql"),
        ("", "postgresql"),
    ],
)  # fmt: skip
def test_a_statement_in_a_few_words(text: str, expected: str) -> None:
    assert expected == summary(analyze(text))


def test_texts_that_differ_in_literals_alone_have_one_summary() -> None:
    texts = [f"SELECT * FROM songs WHERE title = 'secret{n}' LIMIT {n}" for n in range(3)]
    assert {"SELECT songs"} == {summary(analyze(text)) for text in texts}


def test_it_is_cut_between_two_names() -> None:
    tables = [f"a_table_with_a_long_name_{number:02}" for number in range(20)]
    found = summary(analyze("SELECT * FROM " + ", ".join(tables)))
    assert len(found) <= LONGEST
    assert tables[: len(found.split()) - 1] == found.split()[1:]
    assert len(summary(analyze(f"SELECT * FROM {'x' * 300}"))) <= LONGEST


def test_the_operation_and_the_one_relation() -> None:
    query = analyze("select * from songs where id = 1")
    assert ("SELECT", "songs") == (operation(query), collection(query))
    assert "" == collection(analyze("select * from songs, artists"))
    assert "" == operation(analyze("SELEC 1"))


def test_question_marks_for_constants_and_parameters() -> None:
    text = redact("SELECT a.\"$1\", '$2' FROM a WHERE x = $1 AND y = 'secret' AND z = 7")
    assert 'SELECT a."$1", ? FROM a WHERE x = ? AND y = ? AND z = ?' == placeholders(text)
