from __future__ import annotations

import pytest

from dbopt.sql.migration.lint import lint_migration
from dbopt.sql.migration.tools import filled, forward, in_transaction

BUILD = "CREATE INDEX CONCURRENTLY i ON t (a);"
REFUSED = "ban-concurrent-index-creation-in-transaction"


@pytest.mark.parametrize(
    "comment",
    [
        "-- +goose NO TRANSACTION\n-- +goose Up",
        "-- +migrate Up notransaction",
        "-- migrate:up transaction:false",
        "-- no-transaction",
        "-- no-transaction\r",
        "-- atlas:txmode none",
        "---- tern: disable-tx ----",
        "--liquibase formatted sql\n--changeset ann:1 runInTransaction:false",
        "-- squawk-disable-assume-in-transaction",
    ],
)
def test_a_text_says_that_it_has_no_transaction(comment: str) -> None:
    assert not in_transaction(f"{comment}\n{BUILD}", usual=True)
    told = lint_migration(f"{comment}\n{BUILD}", in_transaction=True)
    assert REFUSED not in {one.rule for one in told}


@pytest.mark.parametrize(
    "text",
    [
        BUILD,
        f"-- +goose Up\n{BUILD}",
        f"-- migrate:up\n{BUILD}",
        f"-- there is no-transaction here\n{BUILD}",
        f"-- atlas:txmode all\n{BUILD}",
        f"-- changeset ann:1 runInTransaction:true\n{BUILD}",
        f"SELECT '-- no-transaction';\n{BUILD}",
    ],
)
def test_and_else_it_has_what_is_usual(text: str) -> None:
    assert in_transaction(text, usual=True)
    assert not in_transaction(text, usual=False)
    assert REFUSED in {one.rule for one in lint_migration(text, in_transaction=True)}


@pytest.mark.parametrize(
    "down",
    [
        "-- +goose Down",
        "-- +goose down\r",
        "--+migrate Down",
        "-- migrate:down",
        "---- create above / drop below ----",
    ],
)
def test_the_way_back_is_not_looked_at(down: str) -> None:
    text = f"ALTER TABLE t DROP COLUMN a;\n{down}\nDROP TABLE u;\n"
    found = lint_migration(text, in_transaction=True)
    assert "ban-drop-table" not in {one.rule for one in found}
    assert "1:15" == next(one.object for one in found if one.rule == "ban-drop-column")


def test_the_way_forward_goes_on_behind_it() -> None:
    text = "-- +goose Down\nDROP TABLE \u00fc;\r\n-- +goose Up\nDROP TABLE w;\n"
    blanked = forward(text)
    assert len(text) == len(blanked)
    assert "-- +goose Up\nDROP TABLE w;\n" == blanked.lstrip()
    (found,) = (one for one in lint_migration(text) if one.rule == "ban-drop-table")
    assert "4:1" == found.object


def test_a_text_of_no_tool_stays_as_it_is() -> None:
    text = "SELECT 1; -- downgrade\nSELECT 2;"
    assert text is forward(text) or text == forward(text)


def test_each_changeset_of_liquibase_is_a_transaction() -> None:
    text = "--liquibase formatted sql\n--changeset a:1\nALTER TABLE t ADD a text;\n{}"
    told = "cannot-run-in-transaction", "locking-two-tables"

    def rules(more: str) -> list[str]:
        found = lint_migration(text.format(more), in_transaction=True)
        return [one.rule for one in found if one.rule in told]

    assert ["locking-two-tables"] == rules("ALTER TABLE u ADD a text")
    assert [] == rules("--changeset a:2\nALTER TABLE u ADD a text")
    assert [] == rules("--changeset a:2 runInTransaction:false\nVACUUM t")
    alone = "--changeset a:2 runInTransaction:false\n--changeset a:3\nVACUUM t"
    assert ["cannot-run-in-transaction"] == rules(alone)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE ${a.b}.t", "DROP TABLE _$a_b_.t"),
        ('DROP TABLE :s.t, :"u"', 'DROP TABLE _s.t,  "u"'),
        ("SELECT :'x'", "SELECT  'x'"),
        ("DO $$ BEGIN DROP TABLE ${t}; END $$", "DO $$ BEGIN DROP TABLE _$t_; END $$"),
        ("SELECT a::text, b[1:n], c := 1", "SELECT a::text, b[1:n], c := 1"),
        ("SELECT '${a} :b', E'\\' :b', 'it''s :b' -- :b", None),
        ('SELECT \'{"a":"b", "c" :"d"}\'', None),
        ("-- dbopt:ignore all it's :b\nSELECT ':b'", None),
        ("SELECT ' :b", None),
    ],
)
def test_placeholders(text: str, expected: str | None) -> None:
    found, names = filled(text)
    assert (expected or text) == found
    assert len(text) == len(found)
    assert (expected is None) <= (names == {})


def test_many_quotes_cost_little() -> None:
    assert len(filled("'" * 300_001)[0]) == len(filled("e'" * 150_000 + " ")[0])
