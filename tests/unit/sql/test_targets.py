from __future__ import annotations

import pytest

from dbopt.sql.lexer import code
from dbopt.sql.targets import changed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("create", ""),
        ("drop table", ""),
        ("alter table", ""),
        ("create index on", ""),
        ("drop table a, b.c, only d cascade", "a b.c d"),
        ("create table if not exists a (b int)", "a"),
        ("create table a partition of b default", "a b"),
        ("alter table a detach partition b.c", "a b.c"),
        ("create foreign table a (b int) server c", "a"),
        ("create unique index i on only a (b)", "a"),
        ("create constraint trigger g after update of b on a for each row execute function f()",
         "a"),
        ("create rule r as on delete to a do instead nothing", "a"),
        ("alter policy p on a rename to q", "a"),
        ("create statistics on x, (y + 1) from a", "a"),
        ("truncate table a, b", "a b"),
        ("refresh materialized view concurrently a", "a"),
        ("refresh materialized view", ""),
        ("create event trigger e on ddl_command_end execute function f()", ""),
        ("comment on table a is 'x'", ""),
        ("vacuum a", ""),
        ("select a from b", ""),
    ],
)  # fmt: skip
def test_relations_that_a_command_changes(text: str, expected: str) -> None:
    assert expected.split() == [str(relation) for relation in changed(code(text))]
