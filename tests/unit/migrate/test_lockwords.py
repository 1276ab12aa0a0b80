from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.migrate.lockwords import is_quiet, locks
from dbopt.migrate.steps import Action, Step
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("i", "public", "t", "btree", (IndexKey("a"),))
NOBODY = "SHARE UPDATE EXCLUSIVE on public.t: no reader or writer waits"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.CREATE, (NOBODY,)),
        (Action.REBUILD, (NOBODY,)),
        (Action.REPLACE, (NOBODY,)),
        (Action.DROP, (NOBODY,)),
        (Action.RENAME, (NOBODY.replace("public.t", "the index"),)),
        (Action.PRESENT, ()),
        (Action.BUSY, ()),
        (Action.CONFLICT, ()),
    ],
)
def test_of_a_plain_table(action: Action, words: tuple[str, ...]) -> None:
    found = locks(Step(action, WANTED))
    assert words == found
    assert all(map(is_quiet, found))


def _part(action: Action, table: str, *parts: Step) -> Step:
    return Step(action, replace(WANTED, table=table), partitions=parts)


def test_of_partitions_at_every_level() -> None:
    below = _part(Action.CREATE, "b", _part(Action.CREATE, "b1"), _part(Action.ATTACH, "b2"))
    whole = _part(Action.CREATE, "t", _part(Action.CREATE, "a"), below)

    assert [
        "SHARE on 2 partitioned tables",
        "SHARE UPDATE EXCLUSIVE on 2 partitions",
        "ACCESS EXCLUSIVE on each partition's index",
    ] == [word.partition(" for an")[0].partition(":")[0] for word in locks(
        whole, {"public.t", "public.b"}
    )]  # fmt: skip


def test_a_partitioned_tables_index_is_dropped_at_once() -> None:
    (word,) = locks(Step(Action.DROP, WANTED), {"public.t"})

    assert word.startswith("ACCESS EXCLUSIVE on public.t and its partitions for an instant")
