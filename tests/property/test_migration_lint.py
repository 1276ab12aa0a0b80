"""What holds of any migration: no exception, and findings that stand within the text."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import lint_migration
from dbopt.sql.split import position
from tests.support import examples

WORDS = (
    "BEGIN END ; IF THEN ELSE ELSIF LOOP WHILE FOR IN CASE WHEN DECLARE EXCEPTION EXECUTE $1 x := 1"
    " 'DROP TABLE a' $q$LOCK b$q$ ( ) [ ] << >> # . , INTO PERFORM CALL f() UPDATE t SET USING"
    " DROP TABLE INDEX CONCURRENTLY ALTER ADD COLUMN c CREATE FUNCTION RETURNS void LANGUAGE sql AS"
    " COMMIT ROLLBACK TO SAVEPOINT LOCAL lock_timeout = DO $d$BEGIN$d$ SELECT WITH CONSTRAINT CHECK"
    ' PRIMARY KEY REFERENCES ON ONLY TYPE \\i \\gexec :x ${z} E\'\\ \' U&"x" UESCAPE " -- /* */ é'
)
PIECES = st.sampled_from([*WORDS.split(" "), "\n", "\x00", "-- dbopt:ignore all x\n"])
BODIES = st.lists(PIECES, max_size=25).map(" ".join)
TEXTS = st.sampled_from(
    [
        "{}",
        "DO $$BEGIN {} END$$",
        "DO $$ {} $$",
        "DO '{}'",
        "DO $k$BEGIN EXECUTE $${}$$; END$k$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN {} END$$; SELECT f()",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $${}$$; SELECT f()",
    ]
)


@given(TEXTS, BODIES, st.booleans())
@example("DO $$BEGIN {} END$$", "EXECUTE $1;", False)
@settings(max_examples=examples(150))
def test_findings_stand_within_any_text(text: str, body: str, in_transaction: bool) -> None:
    sql = text.replace("{}", body)
    end = position(sql, len(sql))
    for one in lint_migration(sql, rules=RULES, in_transaction=in_transaction):
        found = one.evidence
        start, stop = (found["line"], found["column"]), (found["end_line"], found["end_column"])
        assert (1, 1) <= start <= stop <= end
