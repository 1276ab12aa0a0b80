"""No collector's query names a column or a function that a version it is for lacks. PURE."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from dbopt.pg.sqlfile import Statement, statements
from tests.unit.stats.data_pg_columns import CATALOGS, COLUMNS, FUNCTIONS, STATEMENTS, columns

SERVERS = range(13, 19)
EXTENSIONS = range(108, 113)
COLLECTORS = [s for s in statements() if s.name.startswith(("collect_", "server_info"))]


def versions(entry: Statement) -> list[int]:
    """The versions that get this entry and no later one of its name."""
    known = EXTENSIONS if "{schema}" in entry.sql else SERVERS
    later = [s.min_version for s in COLLECTORS if s.name == entry.name]
    return [v for v in known if entry.min_version == max(m for m in [0, *later] if m <= v)]


def parsed(entry: Statement) -> exp.Expr:
    text = entry.sql.replace("{schema}.", "").replace("%%", "%")
    # A parameter is a value, and the extension's function a relation, to the parser.
    text = text.replace("::oid[]", "").replace("::bigint[]", "").replace("::int2[]", "")
    for name in ("limit", "timed", "wal_timed", "reads_all", "planning", "relids", "queryids"):
        text = text.replace(f"%({name})s", "NULL")
    text = text.replace("pg_stat_statements(false)", "pg_stat_statements")
    text = text.replace("pg_stat_statements(true)", "pg_stat_statements")
    return sqlglot.parse_one(text, dialect="postgres")


def catalog(version: int) -> dict[str, frozenset[str]]:
    known = STATEMENTS if version > 100 else {**COLUMNS, **CATALOGS}
    return {name: columns(words, version) for name, words in known.items()} | (
        {name: columns(words, 13) for name, words in CATALOGS.items()} if version > 100 else {}
    )


def absent(scope: Scope, known: dict[str, frozenset[str]]) -> set[str]:
    """The columns of this scope that no relation of it has, where all of them are known."""
    tables = {
        name: source.name
        for name, source in scope.sources.items()
        if isinstance(source, exp.Table) and source.name in known
    }
    found = set[str]()
    for column in scope.columns:
        if column.table in tables and column.name not in known[tables[column.table]]:
            found.add(f"{tables[column.table]}.{column.name}")
        mine = column.find_ancestor(exp.Select) is scope.expression
        if mine and not column.table and len(tables) == len(scope.sources) == 1:
            (table,) = tables.values()
            outputs = {e.alias for e in scope.expression.expressions if e.alias}
            if column.name not in known[table] | outputs:
                found.add(f"{table}.{column.name}")
    return found


def wrong(entry: Statement, version: int) -> set[str]:
    tree, known = parsed(entry), catalog(version)
    found = set[str]()
    for scope in traverse_scope(tree):
        found |= absent(scope, known)
    for table in tree.find_all(exp.Table):
        if table.name in known and not known[table.name]:
            found.add(table.name)
    for function in tree.find_all(exp.Anonymous):
        if FUNCTIONS.get(function.name.lower(), 0) > version:
            found.add(function.name)
    return found


@pytest.mark.parametrize("entry", COLLECTORS, ids=lambda e: f"{e.name}-{e.min_version}")
def test_each_query_names_only_what_its_versions_have(entry: Statement) -> None:
    for version in versions(entry):
        if entry.min_version == 0 and not readable(entry, version):
            continue
        assert set() == wrong(entry, version), f"{entry.name} on {version}"


def readable(entry: Statement, version: int) -> bool:
    """Whether collectors ask this of that version: a view of a later one is never read there."""
    return version >= {
        "collect_io": 16,
        "collect_recovery_prefetch": 15,
    }.get(entry.name, 0)


def test_the_check_sees_what_is_wrong() -> None:
    entry = next(s for s in COLLECTORS if (s.name, s.min_version) == ("collect_checkpointer", 18))
    assert {"pg_stat_checkpointer.num_done", "pg_stat_checkpointer.slru_written"} == wrong(
        entry, 17
    )
    tables = next(s for s in COLLECTORS if (s.name, s.min_version) == ("collect_tables", 16))
    assert {"pg_stat_get_lastscan", "pg_stat_get_tuples_newpage_updated"} == wrong(tables, 15)
    of_111 = next(s for s in COLLECTORS if (s.name, s.min_version) == ("collect_statements", 111))
    assert "pg_stat_statements.stats_since" in wrong(of_111, 110)


def test_every_relation_is_known_or_our_own() -> None:
    known = {*COLUMNS, *CATALOGS, *STATEMENTS}
    for entry in COLLECTORS:
        tree = parsed(entry)
        own = {cte.alias for cte in tree.find_all(exp.CTE)}
        named = {t.name for t in tree.find_all(exp.Table) if t.name}
        assert set() == {n for n in named - own - known if n.startswith("pg_")}, entry.name


def test_every_relation_is_qualified() -> None:
    """Whatever the role's search_path is, no user's relation stands in for one of the system's."""
    for entry in COLLECTORS:
        tree = parsed(entry)
        own = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if table.name and table.name not in own | STATEMENTS.keys():
                assert "pg_catalog" == table.db, f"{entry.name}: {table.name}"
