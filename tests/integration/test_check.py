"""`dbopt check` against real servers: what is amiss is found, as whoever looks may see it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from dbopt.check.rules import RULES
from dbopt.check.run import Outcome
from dbopt.checksettings import Check
from dbopt.sql.findings import Finding, Severity
from tests.integration.check_support import Sick, sick
from tests.support import wait_until

FOUND = {
    "autovacuum-disabled", "autovacuum-lag", "blocking-locks", "cache-hit", "checkpoints",
    "column-types", "connection-limits", "connections", "deadlocks", "disabled-triggers",
    "expiring-roles", "extension-version", "foreign-key-types", "freeze-age", "fsync",
    "full-page-writes", "idle-connections", "idle-in-transaction", "idle-transaction-timeout",
    "invalid-constraints", "invalid-database", "jit", "key-exhaustion", "lock-logging",
    "long-queries", "multixact-wraparound", "never-analyzed", "never-vacuumed", "no-primary-key",
    "password-encryption", "planner-switches", "public-create", "replica-identity",
    "rollback-share", "sequence-exhaustion", "slot-inactive", "slot-wal", "slow-logging",
    "stale-statistics", "statement-timeout", "statistics-target", "superuser-sessions",
    "synchronous-commit", "table-bloat", "temp-files", "track-io-timing", "unlogged-tables",
    "work-mem", "xid-wraparound", "xmin-horizon",
}  # fmt: skip
"""What is found of the sick database by who may see all."""
HIDDEN = {
    "autovacuum-blocked", "autovacuum-saturated", "blocking-locks", "connection-limits",
    "connections", "idle-connections", "idle-in-transaction", "long-queries", "long-transactions",
    "replication-lag", "superuser-sessions", "sync-standby-missing", "xmin-horizon",
}  # fmt: skip
"""Rules that want pg_monitor."""


@pytest.fixture(scope="module", params=[18, 15])
def ill(request: pytest.FixtureRequest) -> Iterator[Sick]:
    name = "pg_backend" if request.param == 18 else "pg15_backend"
    with sick(request.getfixturevalue(name)) as made:
        yield made


@pytest.fixture(scope="module")
def seen(ill: Sick) -> Outcome:
    """What the superuser sees."""
    return ill.look()


def examined(outcome: Outcome) -> set[str]:
    return {finding.rule for finding in outcome.findings if finding.examined}


def blind(outcome: Outcome) -> dict[str, str]:
    return {finding.rule: finding.remedy for finding in outcome.findings if not finding.examined}


def only(outcome: Outcome, rule: str) -> list[Finding]:
    return [f for f in outcome.findings if f.rule == rule and f.examined]


def test_what_is_amiss_is_found(seen: Outcome) -> None:
    assert set() == FOUND - examined(seen)


def test_a_superuser_sees_everything_that_is_not_locked(seen: Outcome) -> None:
    assert {"sequence-exhaustion", "random-page-cost"} == set(blind(seen))


def test_the_blocker_and_the_waiter(ill: Sick, seen: Outcome) -> None:
    (finding,) = only(seen, "blocking-locks")
    (waiter,) = finding.evidence["waiting"]
    assert f"pid {ill.pids['idle']}" == finding.object
    assert (ill.pids["waiter"], "AccessShareLock", "public.nopk") == (
        waiter["pid"], waiter["mode"], waiter["relation"],
    )  # fmt: skip
    assert "idle in transaction" in finding.message
    assert finding.remedy == f"SELECT pg_terminate_backend({ill.pids['idle']});"


def test_sequences_and_the_columns_that_they_feed(seen: Outcome) -> None:
    found = {f.object: f for f in only(seen, "sequence-exhaustion")}
    assert {"public.near_id_seq", "public.big", "public.small_id_seq"} == set(found)
    assert "public.fed.id" == found["public.big"].evidence["column"]
    assert 2**31 - 1 == found["public.big"].evidence["limit"]
    assert "smallint" == found["public.small_id_seq"].evidence["column_type"]
    assert {Severity.CRITICAL} == {finding.severity for finding in found.values()}


def test_bloat_is_near_the_truth(seen: Outcome) -> None:
    (finding,) = [f for f in only(seen, "table-bloat") if f.object == "public.dead"]
    assert 0.85 < finding.evidence["share"] < 1.0
    assert finding.evidence["certain"]


def test_objects(ill: Sick, seen: Outcome) -> None:
    for rule, objects in {
        "invalid-constraints": {"public.nopk.positive"},
        "disabled-triggers": {"public.parent.asleep", "public.child.child_parent_fkey"},
        "foreign-key-types": {"public.child.child_parent_fkey"},
        "column-types": {f"public.nopk.{column}" for column in "bcde"},
        "no-primary-key": {"public.nopk"},
        "unlogged-tables": {"public.gone"},
        "key-exhaustion": {"public.keyed.id"},
        "replica-identity": {"public.nopk"},
        "extension-version": {"pg_stat_statements"},
        "public-create": {"public"},
        "autovacuum-disabled": {"public.dead", "public.fresh"},
        "never-analyzed": {"public.fresh"},
        "planner-switches": {"enable_seqscan"},
        "long-queries": {f"pid {ill.pids[name]}" for name in ("busy", "waiter")},
    }.items():
        assert (rule, objects) == (rule, {finding.object for finding in only(seen, rule)})
    for rule, part in {
        "slot-inactive": f"slot_{ill.tag}",
        "expiring-roles": ill.role("late"),
        "md5-passwords": ill.role("md5"),
        "connection-limits": f"role {ill.role('few')}",
        "invalid-database": f"dbopt_invalid_{ill.tag}",
    }.items():
        assert part in {finding.object for finding in only(seen, rule)}


def test_the_remedies_run(ill: Sick, seen: Outcome) -> None:
    """Statements that mend tables, each in a transaction that is rolled back."""
    rules = {"invalid-constraints", "unlogged-tables", "disabled-triggers", "foreign-key-types",
             "key-exhaustion", "autovacuum-disabled", "public-create",
             "column-types", "sequence-exhaustion"}  # fmt: skip
    held = ("public.nopk", "public.near")
    with psycopg.connect(ill.dsn, options="-c lock_timeout=1s") as connection:
        for finding in seen.findings:
            locked = finding.object.startswith(held)
            if finding.rule in rules and finding.examined and not locked:
                connection.execute(finding.remedy.encode())
                connection.rollback()


def test_pg_monitor_sees_what_a_superuser_does(ill: Sick, seen: Outcome) -> None:
    monitor = ill.look("mon")
    unseen = {"md5-passwords", "sequence-exhaustion", "key-exhaustion", "table-bloat",
              "random-page-cost"}  # fmt: skip
    assert unseen == set(blind(monitor))
    assert examined(seen) - unseen <= examined(monitor) | {"superuser-sessions"}
    assert (
        f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{ill.role("mon")}";'
        == blind(monitor)["table-bloat"]
    )


def test_a_plain_role_is_told_what_it_cannot_see(ill: Sick) -> None:
    plain = ill.look("plain")
    told = blind(plain)
    assert HIDDEN | {"md5-passwords", "table-bloat", "key-exhaustion"} <= set(told)
    assert {f'GRANT pg_monitor TO "{ill.role("plain")}";'} == {told[rule] for rule in HIDDEN}
    assert {"fsync", "invalid-constraints", "no-primary-key"} <= examined(plain)


def test_the_grants_mend_it(ill: Sick) -> None:
    plain, dsn = ill.role("plain"), ill.dsn
    with psycopg.connect(dsn, autocommit=True) as admin:
        for remedy in {r for r in blind(ill.look("plain")).values() if r.startswith("GRANT")}:
            admin.execute(remedy.encode())
        after = blind(ill.look("plain"))
        admin.execute(f"REVOKE pg_monitor FROM {plain}")
        for kind in ("TABLES", "SEQUENCES"):
            admin.execute(f"REVOKE SELECT ON ALL {kind} IN SCHEMA public FROM {plain}")
    assert {"md5-passwords", "random-page-cost", "sequence-exhaustion"} == set(after)


def test_it_waits_for_no_lock_and_is_quick(ill: Sick) -> None:
    start = time.monotonic()
    ill.look()
    assert time.monotonic() - start < 10.0


def test_it_writes_nothing_and_leaves_nothing(ill: Sick) -> None:
    with psycopg.connect(ill.dsn, autocommit=True) as admin:

        def written() -> int:
            """Transactions of the whole server that changed something, during a look."""
            before = admin.execute("SELECT pg_current_xact_id()").fetchone() or (0,)
            ill.look()
            after = admin.execute("SELECT pg_current_xact_id()").fetchone() or (0,)
            return int(after[0]) - int(before[0]) - 1

        # An autovacuum may write in one look; it does not in each.
        wait_until(lambda: written() == 0, what="a look in which nothing was written")


def test_only_what_is_asked_for(ill: Sick) -> None:
    outcome = ill.look("", "fsync", "jit")
    assert {"fsync": "off", "jit": "on"} == {
        f.rule: f.evidence["setting"] for f in outcome.findings
    }


def test_the_usual_thresholds_are_calmer(ill: Sick) -> None:
    calm = examined(ill.look(limits=Check(ignore="fsync,full-page-writes:*")))
    assert {"idle-in-transaction", "long-queries", "fsync", "full-page-writes"}.isdisjoint(calm)
    assert {"sequence-exhaustion", "no-primary-key"} <= calm


def test_all_databases(ill: Sick) -> None:
    outcome = ill.look("", "no-primary-key", "jit", all_databases=True)
    assert "postgres" in outcome.databases
    assert not any("invalid" in name for name in outcome.databases)
    names = {finding.object for finding in only(outcome, "no-primary-key")}
    assert f"{outcome.databases[0]}/public.nopk" in names
    assert ["jit"] == [finding.object for finding in only(outcome, "jit")]


def test_every_rule_runs(seen: Outcome) -> None:
    assert tuple(rule.name for rule in RULES) == seen.rules
    assert len(RULES) >= seen.counts()["fine"] > 10
