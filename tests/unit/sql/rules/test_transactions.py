from __future__ import annotations

import pytest

from dbopt.sql.rules.transactions import stretches
from dbopt.sql.script import script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("begin; commit;", []),
        ("select 1; select 2", [(["select 1", "select 2"], False)]),
        ("begin; select 1; commit; select 2", [(["select 1"], True), (["select 2"], False)]),
        ("start transaction; select 1", [(["select 1"], True)]),
        ("begin; select 1; rollback; select 2", [(["select 1"], True), (["select 2"], False)]),
        ("begin; select 1; savepoint s; select 2; rollback to s; select 3; end",
         [(["select 1", "select 2", "select 3"], True)]),
        ("begin; select 1; rollback to savepoint s; select 2; release s; abort",
         [(["select 1", "select 2"], True)]),
        ("begin; set transaction read only; select 1; commit", [(["select 1"], True)]),
        ("begin; select 1; commit and chain; select 2; commit; select 3",
         [(["select 1"], True), (["select 2"], True), (["select 3"], False)]),
        ("begin; select 1; commit and no chain; select 2",
         [(["select 1"], True), (["select 2"], False)]),
        ("select 1; begin; select 2", [(["select 1"], False), (["select 2"], True)]),
    ],
)  # fmt: skip
def test_a_script_is_cut_at_its_transactions(
    text: str, expected: list[tuple[list[str], bool]]
) -> None:
    found = [([s.sql for s in one.subjects], one.explicit) for one in stretches(script(text))]

    assert expected == found
