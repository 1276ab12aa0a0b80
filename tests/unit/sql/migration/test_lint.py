from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import aliases, lint_migration
from dbopt.sql.migration.support import Rule

ROBUST = ("prefer-robust-stmts", "require-timeout-settings")


def rules(text: str, **options: object) -> list[str]:
    """What fires, by name, in the text's order, without the rules that nearly always do."""
    found = lint_migration(text, ignore=ROBUST, **options)  # type: ignore[arg-type]
    return [one.rule for one in found]


def named(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)


def test_a_finding_tells_its_place_and_its_group() -> None:
    text = "SELECT 1;\n\n  ALTER TABLE s.t\n  ADD COLUMN a\n  json;"
    (found,) = lint_migration(text, rules=[named("prefer-jsonb")])
    assert {
        "line": 5,
        "column": 3,
        "end_line": 5,
        "end_column": 7,
        "statement": 2,
        "group": "type",
    } == found.evidence
    assert ("5:3", Severity.WARNING, True) == (found.object, found.severity, found.examined)
    assert "s.t.a is json, which has no equality." == found.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE t (a text); CREATE INDEX i ON t (a); ALTER TABLE t ADD UNIQUE (a)", []),
        ("CREATE TABLE s.t (a text); CREATE INDEX i ON s.t (a); DROP INDEX s.i", []),
        ("CREATE TABLE t (a text); CREATE INDEX i ON public.t (a)", []),
        ("CREATE TABLE t (a text); ALTER TABLE t RENAME TO u; CREATE INDEX i ON u (a)", []),
        (
            "CREATE TABLE s.t (a text); CREATE INDEX i ON v.t (a)",
            ["require-concurrent-index-creation"],
        ),
        (
            "CREATE INDEX i ON t (a); CREATE TABLE t (a text)",
            ["require-concurrent-index-creation"],
        ),
        (
            "CREATE TABLE t (a text); ALTER TABLE ONLY t ADD CONSTRAINT k PRIMARY KEY (a); "
            "ALTER INDEX k ATTACH PARTITION t_k; ALTER INDEX k RENAME TO l",
            [],
        ),
        ("CREATE TABLE t (a text, PRIMARY KEY (a)); DROP INDEX t_pkey", []),
        ("CREATE TABLE a.t (b text); ALTER TABLE a.t SET SCHEMA c; CREATE INDEX i ON c.t (b)", []),
        ("CREATE TEMP TABLE t (a int); UPDATE t SET a = 1; DROP TABLE t", []),
        ("ALTER TABLE pg_temp.t ADD COLUMN a text NOT NULL", []),
        (
            "CREATE TABLE t (a bigint, CONSTRAINT f FOREIGN KEY (a) REFERENCES u (a)); "
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (a)",
            [],
        ),
        ("CREATE TYPE mood AS ENUM ('a'); DROP TYPE mood", []),
        ("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)", []),
    ],
)
def test_what_the_text_makes_is_new(text: str, expected: list[str]) -> None:
    assert expected == rules(text)


def test_what_an_earlier_text_made_is_new_too() -> None:
    assert [] == rules("CREATE INDEX i ON t (a)", known=["t"])
    assert [] == rules("CREATE INDEX i ON s.t (a)", known=["s.t"])
    assert ["require-concurrent-index-creation"] == rules("CREATE INDEX i ON t (a)", known=["u"])


@pytest.mark.parametrize(
    ("text", "in_transaction", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", False, []),
        (
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            True,
            ["ban-concurrent-index-creation-in-transaction"],
        ),
        ("COMMIT; CREATE INDEX CONCURRENTLY i ON t (a)", True, ["transaction-nesting"]),
        (
            "-- squawk-disable-assume-in-transaction\nCREATE INDEX CONCURRENTLY i ON t (a)",
            True,
            [],
        ),
        (
            "-- squawk-enable-assume-in-transaction\nDROP INDEX CONCURRENTLY i",
            False,
            ["cannot-run-in-transaction"],
        ),
        ("BEGIN; COMMIT AND CHAIN; VACUUM t; COMMIT", False, ["cannot-run-in-transaction"]),
        ("BEGIN; ROLLBACK TO a; VACUUM t; ROLLBACK", False, ["cannot-run-in-transaction"]),
        ("BEGIN; END; VACUUM t", False, []),
        ("SET LOCAL work_mem = '1GB'", True, []),
    ],
)
def test_what_runs_in_a_transaction(text: str, in_transaction: bool, expected: list[str]) -> None:
    assert expected == rules(text, in_transaction=in_transaction)


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN a text DEFAULT ''", 10, ["adding-field-with-default"]),
        ("ALTER TABLE t ADD COLUMN a text DEFAULT ''", 11, []),
        ("ALTER TABLE t ADD COLUMN a text DEFAULT NULL::text", 10, []),
        ("ALTER TABLE t DETACH PARTITION p", 13, []),
        ("ALTER TABLE t DETACH PARTITION p", 14, ["require-concurrent-partition-detach"]),
        (
            "ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL",
            11,
            ["adding-not-nullable-field"],
        ),
        ("ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL", 12, []),
        (
            "BEGIN; ALTER TYPE m ADD VALUE 'a' AFTER 'b'; COMMIT",
            11,
            ["cannot-run-in-transaction"],
        ),
        ("BEGIN; ALTER TYPE m ADD VALUE 'a' AFTER 'b'; COMMIT", 12, []),
    ],
)
def test_what_the_version_changes(text: str, version: int, expected: list[str]) -> None:
    assert expected == rules(text, version=version)


@pytest.mark.parametrize(
    ("default", "fires"),
    [
        ("1 + 1", False),
        ("'x'::varchar(3)", False),
        ("now()", False),
        ("current_timestamp", False),
        ("pg_catalog.now()", False),
        ("(now() at time zone 'utc')", False),
        ("lower('A')", False),
        ("clock_timestamp()", True),
        ("random()", True),
        ("nextval('s')", True),
        ("app.token()", True),
        ('"token"()', True),
        ("1 + coalesce(random(), 1)", True),
    ],
)
def test_volatile_defaults(default: str, fires: bool) -> None:
    found = rules(f"ALTER TABLE t ADD COLUMN a text DEFAULT {default}")
    assert (["adding-field-with-default"] if fires else []) == found


@pytest.mark.parametrize(
    ("check", "fires"),
    [
        ("a IS NOT NULL", False),
        ("(a IS NOT NULL)", False),
        ("b > 0 AND a IS NOT NULL", False),
        ("b IS NOT NULL", True),
        ("a IS NOT NULL OR b", True),
    ],
)
def test_checks_that_prove_not_null(check: str, fires: bool) -> None:
    text = f"""
        ALTER TABLE t ADD CONSTRAINT c CHECK ({check}) NOT VALID;
        ALTER TABLE t VALIDATE CONSTRAINT c;
        ALTER TABLE t ALTER a SET NOT NULL;
    """
    assert (["adding-not-nullable-field"] if fires else []) == rules(text)


def test_a_constraint_validated_in_its_own_transaction() -> None:
    text = "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; {}ALTER TABLE t VALIDATE "
    text += "CONSTRAINT c"
    assert [] == rules(text.format(""))
    assert ["constraint-missing-not-valid"] == rules(text.format(""), in_transaction=True)
    assert ["transaction-nesting"] == rules(text.format("COMMIT; "), in_transaction=True)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("ALTER TABLE t ADD a text", ["lock", "statement"]),
        ("SET lock_timeout = '1s'; ALTER TABLE t ADD a text", ["statement"]),
        ("SET statement_timeout = '1s'; ALTER TABLE t ADD a text", ["lock"]),
        ("SET lock_timeout = 0; ALTER TABLE t ADD a text", ["lock", "statement"]),
        ("SET LOCAL lock_timeout = 9; ALTER TABLE t ADD a text", ["lock", "statement"]),
        ("BEGIN; SET LOCAL lock_timeout = 9; ALTER TABLE t ADD a text; END", ["statement"]),
        ("SET lock_timeout = 9; RESET lock_timeout; DROP TABLE t", ["lock", "statement"]),
        ("SELECT set_config('lock_timeout', '1s', false); DROP TABLE t", ["statement"]),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", []),
        ("CREATE TABLE t (a text); ALTER TABLE t ADD b text", []),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", []),
        ("UPDATE t SET a = 1 WHERE id = 1", []),
        ("CREATE TABLE t (a bigint REFERENCES u)", ["lock", "statement"]),
    ],
)
def test_timeouts(text: str, missing: list[str]) -> None:
    asked = [named("require-lock-timeout"), named("require-statement-timeout")]
    found = lint_migration(text, rules=asked)
    assert [f"require-{one}-timeout" for one in missing] == [one.rule for one in found]


def test_severities_of_one_case() -> None:
    asked = [named("prefer-bigint-over-int"), named("changing-column-type")]
    text = "CREATE TABLE t (id int PRIMARY KEY, age int, up int REFERENCES t); "
    text += "ALTER TABLE u ALTER a TYPE text; ALTER TABLE u ALTER a TYPE text USING a::text"
    found = [one.severity for one in lint_migration(text, rules=asked)]
    assert [
        Severity.WARNING,
        Severity.INFO,
        Severity.WARNING,
        Severity.WARNING,
        Severity.CRITICAL,
    ] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE t", ["ban-drop-table"]),
        ("-- dbopt:ignore ban-drop-table unused since May\nDROP TABLE t", []),
        ("-- dbopt:ignore all unused since May\nDROP TABLE t", []),
        ("DROP TABLE t; -- dbopt:ignore ban-drop-table unused since May", []),
        ("-- dbopt:ignore ban-drop-table\nDROP TABLE t", ["ignore-without-reason"]),
        ("-- dbopt:ignore ban-drop-table --\nDROP TABLE t", ["ignore-without-reason"]),
        ("-- dbopt:ignore all\nDROP TABLE t", ["ignore-without-reason"]),
        ("-- squawk-ignore ban-drop-table\nDROP TABLE t", []),
        ("-- squawk-ignore renaming-table, ban-drop-table\nDROP TABLE t", []),
        ("-- squawk-ignore renaming-table\nDROP TABLE t", ["ban-drop-table"]),
        ("-- squawk-ignore-file ban-drop-table\nSELECT 1; DROP TABLE t; DROP TABLE u", []),
        ("-- squawk-ignore-file\nDROP TABLE t; ALTER TABLE u RENAME TO v", []),
        ("-- squawk-ignore-next\nDROP TABLE t", ["ban-drop-table"]),
        ("-- squawk-ignore prefer-repack\nVACUUM FULL t", []),
    ],
)
def test_markers(text: str, expected: list[str]) -> None:
    assert expected == rules(text)


BLOCK = """DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'c') THEN
    ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);
  END IF;
END $$;"""


def test_a_finding_in_a_do_block() -> None:
    (found,) = lint_migration(BLOCK, rules=[named("constraint-missing-not-valid")])
    assert "4:23" == found.object
    assert found.message.endswith("is checked. This is in a DO block.")
    assert ("a DO block", 1) == (found.evidence["within"], found.evidence["statement"])


def test_a_finding_in_a_function_says_who_calls_it() -> None:
    text = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\nDROP TABLE a $$;\nSELECT f();"
    (found,) = lint_migration(text, rules=[named("ban-drop-table")])
    assert "2:1" == found.object
    assert found.message.endswith("This is in f(), which is called in line 3.")


@pytest.mark.parametrize(
    ("statements", "in_transaction", "expected"),
    [
        (
            "CREATE INDEX CONCURRENTLY i ON t (a);",
            False,
            ["ban-concurrent-index-creation-in-transaction"],
        ),
        ("DROP INDEX CONCURRENTLY i;", False, ["cannot-run-in-transaction"]),
        ("COMMIT;", False, []),
        ("COMMIT;", True, ["transaction-nesting"]),
        ("ALTER TABLE t ADD a text; COMMIT; ALTER TABLE u ADD a text;", False, []),
        ("ALTER TABLE t ADD a text; ALTER TABLE u ADD a text;", False, ["locking-two-tables"]),
        ("CREATE TABLE t (a text); CREATE INDEX i ON t (a);", True, []),
        ("SELECT a INTO b FROM c;", True, []),
        ("EXECUTE 'DROP TABLE t';", True, ["ban-drop-table"]),
        ("EXECUTE format('DROP TABLE %I', t);", True, ["unexamined-block"]),
        ("SET LOCAL work_mem = '1GB';", False, []),
    ],
)
def test_a_do_block_is_one_transaction(
    statements: str, in_transaction: bool, expected: list[str]
) -> None:
    text = f"DO $$ BEGIN {statements} END $$"
    assert expected == rules(text, in_transaction=in_transaction)


def test_what_follows_a_do_block_is_no_part_of_its_transaction() -> None:
    text = "DO $$ BEGIN ALTER TABLE t ADD a text; END $$; ALTER TABLE u ADD a text"
    assert [] == rules(text)
    assert ["locking-two-tables"] == rules(text, in_transaction=True)


@pytest.mark.parametrize(
    ("before", "inside"),
    [
        ("-- dbopt:ignore ban-drop-table unused\n", ""),
        ("", "-- dbopt:ignore ban-drop-table unused\n"),
        ("", "-- dbopt:ignore ban-drop-table unused\nIF a THEN "),
        ("", "-- squawk-ignore ban-drop-table\n"),
    ],
)
def test_markers_of_a_do_block(before: str, inside: str) -> None:
    end = "END IF; " * ("IF" in inside)
    text = f"{before}DO $$\nBEGIN\n{inside}DROP TABLE t; {end}END $$;\nDROP TABLE u"
    assert ["ban-drop-table"] == rules(text)
    reason = lint_migration(text.replace("unused", ""), rules=[named("ignore-without-reason")])
    assert ("unused" in text) == bool(reason)


def test_a_marker_inside_a_statement() -> None:
    text = "ALTER TABLE t\n  -- dbopt:ignore ban-drop-column unused\n  DROP COLUMN a,\n  DROP b"
    found = lint_migration(text, rules=[named("ban-drop-column")])
    assert ["4:3"] == [one.object for one in found]
    whole = text.replace("ban-drop-column", "require-lock-timeout")
    assert [] == lint_migration(whole, rules=[named("require-lock-timeout")])


def test_one_marker_for_both_timeouts() -> None:
    text = "-- dbopt:ignore require-timeout-settings the role has them\nDROP TABLE IF EXISTS t"
    assert ["ban-drop-table"] == [one.rule for one in lint_migration(text)]


def test_ignore_takes_squawks_names() -> None:
    assert [] == rules("SELECT 1")
    found = lint_migration("VACUUM FULL t", ignore=["prefer-repack", *ROBUST])
    assert [] == found


def test_rules_that_have_to_be_asked_for() -> None:
    text = "DROP TABLE IF EXISTS t"
    assert "require-table-schema" not in rules(text)
    assert "require-table-schema" in rules(text, rules=RULES)


def test_aliases_name_rules() -> None:
    names = {rule.name for rule in RULES}
    assert all(set(rules) <= names for rules in aliases().values())
    assert ["require-lock-timeout", "require-statement-timeout"] == sorted(
        aliases()["require-timeout-settings"]
    )


def test_never_more_findings_than_the_limit() -> None:
    assert 3 == len(lint_migration("DROP TABLE t;" * 50, limit=3))


def test_of_too_many_the_gravest_are_given_in_their_order() -> None:
    text = "CREATE TABLE t (a varchar(5));" * 30 + "CREATE INDEX i ON u (a); VACUUM FULL u"
    found = lint_migration(text, limit=2)
    assert [Severity.CRITICAL] * 2 == [one.severity for one in found]
    assert found[0].evidence["column"] < found[1].evidence["column"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP VIEW v; CREATE VIEW v AS SELECT 1", []),
        ("DROP VIEW v; CREATE VIEW w AS SELECT 1", ["ban-drop-view"]),
        ("BEGIN; DROP VIEW v; COMMIT; CREATE VIEW v AS SELECT 1", ["ban-drop-view"]),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE c AS 'a'; DROP FUNCTION f()", []),
        ("DROP FUNCTION f()", ["ban-drop-function"]),
        ("ALTER TYPE a RENAME TO b; CREATE TYPE a AS ENUM (); DROP TYPE b", []),
        ("ALTER TYPE a RENAME TO b; DROP TYPE b", ["renaming-object"]),
        ("ALTER TABLE a RENAME TO b; CREATE VIEW a AS SELECT * FROM b", []),
        ("ALTER TABLE a RENAME TO b; DROP TABLE b", ["renaming-table", "ban-drop-table"]),
        ("DROP TABLE a; CREATE TABLE a (b text)", ["ban-drop-table", "ban-force-table"]),
        ("DROP SCHEMA a; CREATE SCHEMA a", ["ban-drop-schema"]),
        ("ALTER TABLE t ALTER a DROP DEFAULT; ALTER TABLE t ALTER a SET DEFAULT 1", []),
        ("ALTER TABLE t ALTER a DROP DEFAULT", ["ban-drop-default"]),
    ],
)
def test_what_comes_back_at_once_is_not_gone(text: str, expected: list[str]) -> None:
    assert expected == rules(text, in_transaction=True)


def test_what_comes_back_later_was_gone() -> None:
    assert "ban-drop-view" in rules("DROP VIEW v; CREATE VIEW v AS SELECT 1")


def test_a_default_that_goes_with_its_column() -> None:
    added = "ALTER TABLE t ADD COLUMN a text DEFAULT ''{}; ALTER TABLE t ALTER a DROP DEFAULT"
    assert ["adding-required-field"] == rules(added.format(" NOT NULL"))
    assert [] == rules(added.format(""))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", ["ban-drop-constraint"]),
        ("ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL;", []),
        (
            "CREATE TABLE t PARTITION OF x DEFAULT; ALTER TABLE u ATTACH PARTITION t DEFAULT;",
            ["creating-partition"],
        ),
    ],
)
def test_a_check_that_has_proven_what_the_table_now_holds(before: str, expected: list[str]) -> None:
    assert expected == rules(f"{before} ALTER TABLE t DROP CONSTRAINT c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BEGIN; VACUUM t; COMMIT", ["cannot-run-in-transaction"]),
        ("SET lock_timeout = '1s'; START TRANSACTION; COMMIT; VACUUM t", []),
        ("-- +goose Up\nBEGIN; COMMIT", ["transaction-nesting", "transaction-nesting"]),
        ("SELECT 1; BEGIN; COMMIT", ["transaction-nesting", "transaction-nesting"]),
        ("BEGIN; SELECT 1", ["ban-uncommitted-transaction"]),
    ],
)
def test_a_text_that_begins_with_begin_opens_its_own_transaction(
    text: str, expected: list[str]
) -> None:
    assert expected == rules(text, in_transaction=True)


@pytest.mark.parametrize(
    "table", ["${schema}.users", "${pre:fix}_users", ":schema.users", ':"schema".users', ':"users"']
)
def test_placeholders_are_names(table: str) -> None:
    text = f"ALTER TABLE {table} ADD COLUMN a json DEFAULT :'value'"
    (found,) = lint_migration(text, rules=[named("prefer-jsonb"), named("unread")])
    assert text.index("json") + 1 == found.evidence["column"]
    written = table.replace('"', "").removeprefix(":" * ('"' in table))
    assert found.message.startswith(f"{written}.a is json")


def test_a_dump_is_told_what_is_there() -> None:
    text = "SELECT pg_catalog.set_config('search_path', '', false);\n{}"
    text = text.format("CREATE TABLE public.t (a timestamp, b json);")
    assert {Severity.INFO} == {one.severity for one in lint_migration(text, in_transaction=True)}
    grave = lint_migration(text.replace("SELECT pg_catalog.", "SELECT "), in_transaction=True)
    assert Severity.WARNING in {one.severity for one in grave}


def test_a_foreign_key_is_told_once() -> None:
    key = "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u"
    (found,) = lint_migration(f"CREATE TABLE u (); {key}", ignore=ROBUST)
    assert ("adding-foreign-key-constraint", "Writes to t wait") == (
        found.rule,
        found.message.split(" while")[0],
    )
    assert "Writes to t and u wait" in lint_migration(key, ignore=ROBUST)[0].message


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "-- nothing",
        "-- dbopt:ignore all",
        "SELECT 1",
        """
        BEGIN;
        SET LOCAL lock_timeout = '2s';
        SET LOCAL statement_timeout = '1min';
        ALTER TABLE users ADD COLUMN seen timestamptz DEFAULT now();
        COMMIT;
        """,
        """
        SET lock_timeout = '2s';
        SET statement_timeout = '1min';
        ALTER TABLE orders DROP CONSTRAINT IF EXISTS f;
        ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
        ALTER TABLE orders VALIDATE CONSTRAINT f;
        SET lock_timeout = 0;
        DROP INDEX CONCURRENTLY IF EXISTS i;
        CREATE INDEX CONCURRENTLY i ON orders (user_id);
        """,
    ],
)
def test_safe_migrations_are_clean(text: str) -> None:
    assert [] == lint_migration(text)


def test_select_into_makes_a_table() -> None:
    made = "SELECT a, b INTO TABLE copied FROM t"
    assert [] == rules(f"{made}; CREATE INDEX i ON copied (a)")
    assert [] == rules("SELECT * INTO TEMP x FROM t; UPDATE x SET a = 1")
    assert ["unread"] == rules("SELECT 1 INTO")


@pytest.mark.parametrize(
    ("use", "fails"),
    [
        ("UPDATE t SET m = 'new'", True),
        ("DO $$ BEGIN UPDATE t SET m = 'new'; END $$", True),
        ("CREATE FUNCTION f() RETURNS mood LANGUAGE sql AS $$ SELECT 'new'::mood $$", True),
        (
            "CREATE FUNCTION f() RETURNS mood AS $$ BEGIN RETURN 'new'; END $$ LANGUAGE plpgsql",
            False,
        ),
        ("CREATE POLICY p ON t USING (m = 'new')", True),
        ("COMMENT ON TYPE mood IS 'new'", False),
        ("UPDATE t SET m = 'old' /* not yet 'new' */", False),
    ],
)
def test_a_new_value_counts_where_it_is_used(use: str, fails: bool) -> None:
    text = f"BEGIN; ALTER TYPE mood ADD VALUE 'new' AFTER 'old'; {use}; COMMIT"
    told = lint_migration(text, rules=[named("enum-value-used-too-early")])
    assert fails == bool(told)


VALIDATE = "ALTER TABLE t VALIDATE CONSTRAINT c"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (VALIDATE, False),
        (f"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; {VALIDATE}", False),
        (f"BEGIN; ALTER TABLE t ADD CHECK (a > 0) NOT VALID; COMMIT; {VALIDATE}", False),
        (f"BEGIN; ALTER TABLE u ADD COLUMN a text; {VALIDATE}; COMMIT", False),
        (
            f"BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; {VALIDATE}; COMMIT",
            True,
        ),
        (f"BEGIN; ALTER TABLE t ADD COLUMN b text; {VALIDATE}; COMMIT", True),
        (f"BEGIN; LOCK TABLE t; {VALIDATE}; COMMIT", True),
        (f"{VALIDATE}, ALTER COLUMN a SET NOT NULL", True),
        (f"{VALIDATE}, VALIDATE CONSTRAINT d", False),
    ],
)
def test_a_validation_is_only_harmless_alone(text: str, told: bool) -> None:
    found = lint_migration(text, rules=[named("constraint-missing-not-valid")])
    assert told == bool(found)
