from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.errors import MigrationError, MigrationRefused, UsageError
from dbopt.migrate import selection
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Index
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import IndexDefinition, IndexKey


def _step(
    name: str, action: Action = Action.CREATE, table: str = "users", existing: str = ""
) -> Step:
    definition = IndexDefinition(name, "public", table, "btree", (IndexKey("a"),))
    there = Index(1, 2, replace(definition, name=existing)) if existing else None
    return Step(action, definition, there, "because")


def _critical(about: str, remedy: str = "") -> Finding:
    return Finding("rule", Severity.CRITICAL, about, "It cannot be", remedy=remedy)


def _names(steps: list[Step]) -> list[str]:
    return [step.definition.name for step in steps]


STEPS = [_step("a"), _step("b", Action.RENAME, "orders", "old_b"), _step("c", table="orders")]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ((), ["a", "b", "c"]),
        (("a",), ["a"]),
        (("public.a",), ["a"]),
        (("orders",), ["b", "c"]),
        (("public.orders",), ["b", "c"]),
        (("old_b",), ["b"]),
        (("a", "c"), ["a", "c"]),
    ],
)
def test_only_names_indexes_and_tables(only: tuple[str, ...], expected: list[str]) -> None:
    assert _names(selection.chosen(STEPS, only)) == expected


def test_only_names_a_partitioned_index_by_its_partitions() -> None:
    parent = replace(_step("p", table="log"), partitions=(_step("p1", table="log_1"),))

    assert _names(selection.chosen([*STEPS, parent], ["log_1"])) == ["p"]


def test_a_word_that_names_nothing_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"--only order: no index.* Did you mean orders\?"):
        selection.chosen(STEPS, ["order"])
    with pytest.raises(UsageError, match="`dbopt index plan` shows the names"):
        selection.chosen(STEPS, ["zzzzzzz"])


def test_a_conflict_is_never_done() -> None:
    why = selection.unwanted(_step("a", Action.CONFLICT), selection.CHANGING, None)
    assert isinstance(why, MigrationError)
    assert 'The index "a" cannot be made as declared: because.' in str(why)


def test_an_action_that_is_not_done_here_names_the_command_that_does_it() -> None:
    why = selection.unwanted(_step("a", Action.REPLACE), selection.ADDING, None)
    assert why is not None
    assert why.hint == "Run `dbopt index apply --only a`."
    assert selection.unwanted(_step("a"), selection.ADDING, None) is None


def test_what_takes_an_index_away_must_have_been_shown() -> None:
    drop = _step("a", Action.DROP)
    why = selection.unwanted(drop, selection.CHANGING, frozenset())

    assert isinstance(why, MigrationRefused)
    assert "was shown did not say" in why.message
    shown = selection.taking([drop, _step("b")])
    assert shown == {("public", "a")}
    assert selection.unwanted(drop, selection.CHANGING, shown) is None
    assert selection.unwanted(drop, selection.CHANGING, None) is None
    assert selection.unwanted(_step("c"), selection.CHANGING, frozenset()) is None


def test_findings_about_one_index_or_table_forbid_its_steps_alone() -> None:
    findings = [_critical("a", "Merge them"), _critical("public.orders")]

    assert str(selection.forbidden(STEPS[0], findings)) == "a: It cannot be. Merge them."
    assert str(selection.forbidden(STEPS[1], findings)) == "public.orders: It cannot be."
    assert selection.forbidden(_step("z", table="z"), findings) is None
    assert selection.of_all(findings, STEPS) == []


def test_a_finding_about_several_indexes_forbids_each_of_them() -> None:
    several = _critical("public.a, public.c")

    assert [selection.forbidden(step, [several]) is None for step in STEPS] == [False, True, False]
    assert selection.of_all([several], STEPS) == []
    # One that is in no step may be about anything.
    assert selection.of_all([_critical("a, elsewhere")], STEPS) != []


def test_findings_about_the_server_forbid_all() -> None:
    server = _critical("the server")
    assert selection.of_all([server, _critical("a")], STEPS) == [server]


def test_a_run_is_refused_where_not_one_step_can_be_done() -> None:
    selection.refuse([], STEPS)
    selection.refuse([_critical("a"), _critical("c")], STEPS)
    with pytest.raises(MigrationRefused, match="a: It cannot be"):
        selection.refuse([_critical("a")], STEPS[:1])
    with pytest.raises(MigrationRefused, match=r"a: It cannot be\. the server: It cannot be\."):
        selection.refuse([_critical("a"), _critical("the server")], STEPS)


def test_warnings_forbid_nothing() -> None:
    warning = replace(_critical("a"), severity=Severity.WARNING)
    elsewhere = replace(warning, object="the server")

    assert selection.forbidden(STEPS[0], [warning]) is None
    assert selection.of_all([elsewhere], STEPS) == []


def test_a_refusal_names_each_remedy_once() -> None:
    error = selection.refusal([_critical("a", "End it"), _critical("b", "End it")])
    assert str(error) == "a: It cannot be. b: It cannot be. End it."


def test_drops_wait_for_what_failed_on_their_table() -> None:
    drop = _step("a", Action.DROP)

    why = selection.held_back(drop, {("public", "users")})
    assert why is not None
    assert 'The index "a" was kept' in why.message
    assert selection.held_back(drop, {("public", "orders")}) is None
    assert selection.held_back(_step("b"), {("public", "users")}) is None


def test_where_nothing_is_declared_all_that_would_go_is_refused() -> None:
    drops = [_step("a", Action.DROP)]

    selection.refuse_emptying(drops, declares=True, prune=False)
    selection.refuse_emptying(drops, declares=False, prune=True)
    selection.refuse_emptying([], declares=False, prune=False)
    with pytest.raises(MigrationRefused, match=r"and 1 that dbopt manages .* set index\.directory"):
        selection.refuse_emptying(drops, declares=False, prune=False)


def test_ours_is_what_is_there_under_its_own_name_and_needed_by_nothing_else() -> None:
    own = _step("a", Action.PRESENT, existing="a")
    assert own.existing is not None

    assert selection.is_own(own)
    assert not selection.is_own(_step("a", Action.PRESENT, existing="b"))
    assert not selection.is_own(_step("a", Action.PRESENT))
    assert not selection.is_own(replace(own, existing=replace(own.existing, constraint="u")))
