"""Clients whose statements are all judged before they run, by the defaults: nothing changes.

The scenarios are those of the other modules; only the gateway is another.
"""

from __future__ import annotations

import pytest

from tests.integration.clients import test_asyncpg as of_asyncpg
from tests.integration.clients import test_pg_dump as of_pg_dump
from tests.integration.clients import test_pgbench as of_pgbench
from tests.integration.clients import test_psql as of_psql
from tests.integration.clients import test_psycopg as of_psycopg
from tests.integration.clients import test_psycopg_flow as of_flow


@pytest.fixture(scope="module")
def guarded() -> bool:
    return True


test_asyncpg_prepared = of_asyncpg.test_prepared_statements
test_asyncpg_types = of_asyncpg.test_types_asked_of_the_catalog
test_asyncpg_tables = of_asyncpg.test_changed_tables
test_pgbench_select_only = of_pgbench.test_select_only
test_pgbench_tpcb = of_pgbench.test_tpcb
test_pgbench_scripts = of_pgbench.test_scripts
test_psql_copy = of_psql.test_copy_of_files
test_psql_large_objects = of_psql.test_large_objects
test_psycopg_errors = of_psycopg.test_errors
test_psycopg_transactions = of_psycopg.test_transactions_and_savepoints
test_flow_errors_in_pipelines = of_flow.test_errors_in_pipelines
test_flow_cursors = of_flow.test_server_side_cursors
test_flow_chunks = of_flow.test_results_in_chunks
test_flow_cancel = of_flow.test_cancel
filled = of_pg_dump.filled
test_pg_dump_plain = of_pg_dump.test_plain_dumps_are_equal
