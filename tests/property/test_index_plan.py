"""Plans of random declared indexes against random databases, carried out by a simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.migrate.names import leaf_name, new_name, old_name
from dbopt.migrate.plan import Action, Step, Wanted, make_plan, needed, one, same_index
from dbopt.pg.catalog import Index, Table
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from tests.property.index_world import World
from tests.support import examples

TABLES = (
    Table(1, "public", "a"),
    Table(2, "public", "b"),
    Table(3, "public", "p", partitioned=True),
    Table(4, "public", "p1", parent=3),
    Table(5, "public", "ps", partitioned=True, parent=3),
    Table(6, "public", "ps1", parent=5),
)
NAMES = ("i", "j", "k")
DONE = {Action.PRESENT, Action.CONFLICT}


def _definition(name: str, table: str, column: str, unique: bool = False) -> IndexDefinition:
    return IndexDefinition(name, "public", table, "btree", (IndexKey(column),), unique=unique)


_meanings = st.tuples(st.sampled_from(("a", "b", "p", "p1")), st.sampled_from("xy"), st.booleans())
_leaf_names = [
    leaf_name(_definition("i", "p", "x"), table.name, turn) for table in TABLES for turn in (0, 1)
]
_actual_names = st.sampled_from(
    [
        *(*NAMES, "other", "i_pkey", "i_ccnew", "i_ccold1", "j_ccnew"),
        *(made for name in NAMES for made in (new_name(name), old_name(name))),
        *_leaf_names,
    ]
)
_states = st.sampled_from(("valid", "valid", "invalid", "built", "constraint", "unique later"))


@st.composite
def _declared(draw: st.DrawFn) -> list[Wanted]:
    chosen = draw(
        st.lists(st.tuples(st.sampled_from(NAMES), _meanings), max_size=3, unique_by=_key)
    )
    return [Wanted(_definition(name, *meaning), name) for name, meaning in chosen]


def _key(chosen: tuple[str, object]) -> str:
    return chosen[0]


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    tables = {table.name: table for table in TABLES}
    indexes: dict[str, Index] = {}
    for number in range(draw(st.integers(0, 8))):
        name = draw(_actual_names)
        if name in indexes:
            continue
        on = draw(st.sampled_from(sorted(tables)))
        column, unique = draw(st.sampled_from("xy")), draw(st.booleans())
        definition = _definition(name, on, column, unique)
        indexes[name] = _index(number, tables[on], definition, draw(_states), indexes, draw)
    world = World(TABLES, indexes.values())
    world.perform([])
    world._validate()
    return world


def _index(
    number: int,
    table: Table,
    definition: IndexDefinition,
    state: str,
    others: dict[str, Index],
    draw: st.DrawFn,
) -> Index:
    made = Index(100 + number, table.oid, definition, sql=definition.create_sql())
    if state == "invalid":
        made = replace(made, valid=False)
    elif state == "built":
        made = replace(made, valid=False, builder_pid=7)
    elif state in {"constraint", "unique later"}:
        unique = replace(definition, unique=True)
        later = state == "unique later"
        made = replace(made, definition=unique, constraint="u", deferrable=later)
    if table.partitioned:
        made = replace(made, partitioned=True, valid=False, builder_pid=None, deferrable=False)
        made = replace(made, constraint="")
    above = [
        index
        for index in others.values()
        if index.table_oid == table.parent
        and index.definition.keys == made.definition.keys
        and index.definition.unique == made.definition.unique
        and not any(o.parent == index.oid and o.table_oid == table.oid for o in others.values())
    ]
    if above and not made.deferrable and draw(st.booleans()):
        made = replace(made, parent=above[0].oid)
    return made


def _carry_out(world: World, wanted: Sequence[Wanted], **options: object) -> list[Step]:
    """Plan, carry out; once more where somebody was building. The last plan."""
    for _ in range(3):
        plan = make_plan(wanted, world.catalog(), **options)  # type: ignore[arg-type]
        world.perform(plan)
        builders = [index for index in world.indexes.values() if index.builder_pid is not None]
        if not builders:
            break
        world.finish_builds(valid=bool(builders[0].oid % 2))
    world.perform(make_plan(wanted, world.catalog(), **options))  # type: ignore[arg-type]
    return make_plan(wanted, world.catalog(), **options)  # type: ignore[arg-type]


def _swap(one_name: str, other: str) -> World:
    pairs = ((100, one_name, "x"), (101, other, "y"))
    return World(TABLES, [Index(oid, 1, _definition(name, "a", c)) for oid, name, c in pairs])


@settings(max_examples=examples(400), deadline=None)
@given(_worlds(), _declared())
@example(_swap("i", "j"), [Wanted(_definition("i", "a", "y")), Wanted(_definition("j", "a", "x"))])
def test_what_is_planned_leads_to_what_is_declared(world: World, wanted: list[Wanted]) -> None:
    before = dict(world.indexes)
    names = {one.definition.name for one in wanted}

    after = _carry_out(world, wanted)

    assert {step.action for step in after} <= DONE
    assert [step.definition.name for step in after if step.action is Action.DROP] == []
    for step in after:
        if step.action is Action.PRESENT:
            assert _is_served(world, step.definition)
    for index in before.values():
        if not _is_ours(index, names) and not _is_wanted(index, wanted):
            left = world.indexes[index.oid]
            assert replace(left, valid=True, parent=None, builder_pid=None) == replace(
                index, valid=True, parent=None, builder_pid=None
            )


def _is_served(world: World, definition: IndexDefinition) -> bool:
    return any(
        index.valid and same_index(index.definition, definition) for index in world.indexes.values()
    )


def _is_ours(index: Index, names: set[str]) -> bool:
    """Whether its name is a declared one, or one that dbopt or REINDEX makes of it."""
    made = {m for name in names for m in (new_name(name), old_name(name), f"{name}_ccnew")}
    return index.name in names | made or "_cc" in index.name or index.name in _leaf_names


def _is_wanted(index: Index, wanted: Sequence[Wanted]) -> bool:
    """Whether it may be renamed or attached, since it means what is declared."""
    return any(index.definition.keys == one.definition.keys for one in wanted)


@settings(max_examples=examples(200), deadline=None)
@given(_worlds(), _declared())
def test_one_pass_is_enough_where_nobody_builds(world: World, wanted: list[Wanted]) -> None:
    world.finish_builds(valid=False)
    conflicts = _names(make_plan(wanted, world.catalog()), Action.CONFLICT)

    world.perform(make_plan(wanted, world.catalog()))

    after = make_plan(wanted, world.catalog())
    # What was kept beside a name that could not be had is a leftover once another serves for it.
    assert {step.action for step in after} <= DONE | ({Action.DROP} if conflicts else set())
    assert _names(after, Action.CONFLICT) <= conflicts


def _names(steps: Sequence[Step], action: Action) -> set[str]:
    return {step.definition.name for step in steps if step.action is action}


@settings(max_examples=examples(200), deadline=None)
@given(_worlds(), _declared(), st.sets(_actual_names), st.booleans())
def test_drops_spare_what_is_needed(
    world: World, wanted: list[Wanted], managed: set[str], prune: bool
) -> None:
    before = dict(world.indexes)
    keys = {("public", name) for name in managed}
    plan = make_plan(wanted, world.catalog(), managed=keys, prune=prune)
    used = {step.existing.oid for step in plan if step.existing and step.action is not Action.DROP}

    for step in plan:
        if step.action is Action.DROP:
            assert step.existing is not None
            assert step.existing.oid not in used
            assert not needed(step.existing, world.catalog())
            assert step.existing.builder_pid is None
    after = _carry_out(world, wanted, managed=keys, prune=prune)

    assert {step.action for step in after} <= DONE
    gone = {before[oid].name for oid in before.keys() - world.indexes.keys()}
    names = {one.definition.name for one in wanted}
    if not prune:
        spared = {b.name for b in before.values() if not _is_ours(b, names)} - managed
        attached = {index.name for index in before.values() if index.parent is not None}
        assert gone & (spared - attached) == set()


@settings(max_examples=examples(100), deadline=None)
@given(_worlds(), _declared(), st.randoms(use_true_random=False))
def test_the_order_of_different_declarations_does_not_matter(
    world: World, wanted: list[Wanted], random: object
) -> None:
    meanings = [replace(one.definition, name="") for one in wanted]
    if len(set(meanings)) < len(meanings):
        return  # the first of one meaning gets the index
    shuffled = wanted[::-1]

    one_way = make_plan(wanted, world.catalog())
    other_way = make_plan(shuffled, world.catalog())

    assert _actions(one_way) == _actions(other_way)


def _actions(steps: Sequence[Step]) -> set[tuple[str, Action]]:
    return {(step.definition.name, step.action) for step in steps}


@settings(max_examples=examples(100), deadline=None)
@given(_worlds(), _declared())
def test_the_step_of_one_is_that_of_the_plan(world: World, wanted: list[Wanted]) -> None:
    catalog = world.catalog()
    plan = {step.definition.name: step.action for step in make_plan(wanted, catalog)}

    for at, declared in enumerate(wanted):
        others = wanted[:at] + wanted[at + 1 :]
        found = one(declared.definition, catalog, declared.where, others=others)
        if not any(same_index(declared.definition, other.definition) for other in others):
            assert found.action is plan[declared.definition.name]
