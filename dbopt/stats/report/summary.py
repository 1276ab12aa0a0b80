"""The summary: the five things that a DBA would say first, each with its evidence. PURE.

One rule a function: a generator of remarks from what the report knows. Severity first, then
weight: the share of the server's time or of its room that is at stake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbopt.sql.findings import Severity
from dbopt.stats.report.compare import Comparison
from dbopt.stats.report.load import Load
from dbopt.stats.report.model import Remark
from dbopt.stats.report.numbers import count, duration, moment, number, share, size, times
from dbopt.stats.report.period import Period
from dbopt.stats.report.relations import latest, name_of
from dbopt.stats.report.statements import Statements
from dbopt.stats.report.sums import hexed, hit_ratio, ratio

MOST = 5
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
LOCK_SHARE = 0.1
PILE_UP = 5.0
"""Sessions that wait for locks at once, over one step of the chart."""
IO_SHARE = 0.4
TEMP_BYTES = 2**30
HIT_RATIO = 0.95
MIN_BLOCKS = 100_000
DEAD_RATIO = 0.2
MIN_DEAD = 10_000
ROLLBACKS = 0.05
CONNECTIONS = 0.8
XID_AGE = 1_000_000_000
SLOT_BYTES = 2**34
DOMINANT = 0.3
SEQUENCE = 0.8


@dataclass(frozen=True, slots=True)
class Known:
    """What the rules look at. `names` are short words for statements by fingerprint."""

    period: Period
    load: Load
    statements: Statements
    comparisons: Sequence[Comparison]
    names: Mapping[int, str]
    cpus: int

    def named(self, number: int) -> str:
        """A statement in few words."""
        return f"“{self.names[number]}”" if number in self.names else f"statement {hexed(number)}"


Rule = Callable[[Known], Iterator[Remark]]


def summary(known: Known) -> tuple[Remark, ...]:
    """The gravest remarks, five at most."""
    found = [remark for rule in RULES for remark in rule(known)]
    found.sort(key=lambda remark: (-remark.severity, -remark.weight, remark.rule, remark.title))
    seen: dict[str, int] = {}
    kept = []
    for remark in found:
        seen[remark.rule] = seen.get(remark.rule, 0) + 1
        if seen[remark.rule] <= 2:  # a dozen slow statements must not hide what else there is
            kept.append(remark)
    return tuple(kept[:MOST])


def verdict(remarks: Sequence[Remark], known: Known) -> str:
    """One sentence: how it was."""
    if not known.period.views:
        return "There is no history of this time."
    critical = sum(remark.severity is CRITICAL for remark in remarks)
    warnings = sum(remark.severity is WARNING for remark in remarks)
    if not critical + warnings:
        return "Nothing stands out in this period."
    counts = [(critical, "critical"), (warnings, "to look at")]
    words = ", ".join(f"{number} {what}" for number, what in counts if number)
    return f"{words[0].upper()}{words[1:]}. First: {remarks[0].title}."


def _slower(known: Known) -> Iterator[Remark]:
    for comparison in known.comparisons:
        for change in comparison.slower()[:2]:
            total = comparison.now.moments.of(comparison.source)
            whole = sum(one.t for one in total.values())
            weight = ratio(change.added_us, whole) or 0.0
            plan = _plan_change(known, change.fingerprint)
            yield Remark(
                "slower",
                CRITICAL if weight >= 0.2 else WARNING if weight >= 0.02 else INFO,
                f"{known.named(change.fingerprint)} got {times(change.factor)} slower",
                f"{duration(change.before_us)} a call in {comparison.name}, "
                f"{duration(change.now_us)} now, over {count(change.calls)} calls: "
                f"{duration(change.added_us)} more in all.{plan}",
                f"dbopt trace {hexed(change.fingerprint)}",
                f"slower_{comparison.id}",
                weight + 1,
            )
        if comparison.slower():
            return  # against the nearest period that shows it


def _plan_change(known: Known, fingerprint: int) -> str:
    for event in known.period.events:
        if event.kind == "plan-change" and event.object == hexed(fingerprint):
            return f" Its plan changed at {moment(event.at.timestamp())} UTC: {event.message}"
    return ""


def _plans(known: Known) -> Iterator[Remark]:
    told = {change.fingerprint for each in known.comparisons for change in each.slower()}
    changes = [e for e in known.period.events if e.kind == "plan-change"]
    changes = [e for e in changes if e.object not in {hexed(number) for number in told}]
    if changes:
        first = changes[0]
        yield Remark(
            "plan-change", INFO, f"{len(changes)} plan change{'s' if len(changes) > 1 else ''}",
            f"{moment(first.at.timestamp())} UTC: {first.message}", section="events", weight=0.3,
        )  # fmt: skip


def _locks(known: Known) -> Iterator[Remark]:
    load = known.load
    waiting = load.classes().get("Lock", 0.0)
    peak, at = _peak(known, "Lock")
    if not load.total or (waiting / load.total < LOCK_SHARE and peak < PILE_UP) or peak < 1:
        return
    rows = sorted(known.period.rows("blocking"), key=lambda row: -row.n("samples"))
    words = ""
    if rows:
        blocked, blocking, mode, relation = rows[0].key
        who = known.named(int(blocking)) if blocking else "a session without a running statement"
        words = (
            f" Most in the way: {who}, before {known.named(int(blocked))} ({mode} on {relation})."
        )
    yield Remark(
        "locks", CRITICAL if peak >= PILE_UP else WARNING,
        f"Locks: up to {number(peak)} sessions waited, on average of a minute",
        f"{share(waiting / load.total)} of all load, the most at {moment(at)} UTC.{words}",
        "Shorten the transaction that holds the lock; set lock_timeout for DDL.",
        "blocking", max(waiting / load.total, peak / 10),
    )  # fmt: skip


def _peak(known: Known, kind: str) -> tuple[float, float]:
    timeline = known.period.timeline
    values = timeline.values(timeline.classes[kind], timeline.sampled)
    found = [(value or 0.0, at) for value, at in zip(values, timeline.times, strict=True)]
    return max(found, key=lambda pair: pair[0])


def _overloaded(known: Known) -> Iterator[Remark]:
    if not known.cpus or not known.load.samples:
        return
    peak, at = _peak(known, "CPU")
    if peak >= known.cpus:
        yield Remark(
            "cpu", CRITICAL, f"More work than {known.cpus} CPUs can do",
            f"Up to {number(peak)} sessions wanted a CPU, the most at {moment(at)} UTC.",
            "Look at the statements with the most CPU; add CPUs.", "load_by_statement",
            peak / known.cpus,
        )  # fmt: skip


def _io_bound(known: Known) -> Iterator[Remark]:
    load = known.load
    waiting = load.classes().get("IO", 0.0)
    if load.total and waiting / load.total >= IO_SHARE and waiting >= 0.5:
        yield Remark(
            "io", WARNING, f"{share(waiting / load.total)} of the load waits for I/O",
            f"{number(waiting)} sessions on average.",
            "Look at the statements with the most blocks read, and at shared_buffers.",
            "statements_by_io", waiting / load.total,
        )  # fmt: skip


def _dominant(known: Known) -> Iterator[Remark]:
    whole = known.statements.total_us
    if not whole:
        return
    largest, sums = max(known.statements.of.items(), key=lambda i: i[1].get("total_exec_us", 0))
    part = sums.get("total_exec_us", 0) / whole
    if part >= DOMINANT:
        yield Remark(
            "dominant", INFO, f"{known.named(largest)} is {share(part)} of all time",
            f"{duration(sums.get('total_exec_us', 0))} in {count(sums.get('calls', 0))} calls.",
            f"dbopt trace {hexed(largest)}", "statements_by_time", part,
        )  # fmt: skip


def _new(known: Known) -> Iterator[Remark]:
    whole = known.statements.total_us
    for comparison in known.comparisons[:1]:
        found = sorted(comparison.new(), key=lambda pair: -pair[1].t)
        if found and whole and found[0][1].t / whole >= 0.05:
            fingerprint, one = found[0]
            yield Remark(
                "new", INFO, f"New: {known.named(fingerprint)}",
                f"{share(one.t / whole)} of all time, {count(one.c)} calls of "
                f"{duration(one.mean)}; {len(found)} new statements in all.",
                f"dbopt trace {hexed(fingerprint)}", "statements_new", one.t / whole,
            )  # fmt: skip


def _repeated(known: Known) -> Iterator[Remark]:
    rows = sorted(known.period.rows("repeated"), key=lambda row: -row.n("calls"))
    if rows and rows[0].n("transactions") >= 10:
        row = rows[0]
        each = row.n("calls") / row.n("transactions")
        route = str(row.key[4]) or "no route"
        yield Remark(
            "n-plus-one", INFO, f"N+1: {known.named(int(row.key[0]))} runs {each:,.0f} times in "
            "each transaction", f"{count(row.n('transactions'))} transactions of {route}, "
            f"{count(row.n('calls'))} calls.", "Ask once, with a list.", "n_plus_one", 0.2,
        )  # fmt: skip


def _cache(known: Known) -> Iterator[Remark]:
    rows = known.period.rows("database")
    hit, read = sum(r.n("blks_hit") for r in rows), sum(r.n("blks_read") for r in rows)
    found = hit_ratio(hit, read)
    if found is not None and hit + read >= MIN_BLOCKS and found < HIT_RATIO:
        yield Remark(
            "cache", WARNING, f"The cache has only {share(found)} of what is read",
            f"{count(read)} blocks came from the operating system or disk.",
            "Look at the statements with the most blocks read; raise shared_buffers.",
            "statements_by_io", 1 - found,
        )  # fmt: skip


def _temp(known: Known) -> Iterator[Remark]:
    written = sum(row.n("temp_bytes") for row in known.period.rows("database"))
    if written >= TEMP_BYTES:
        yield Remark(
            "temp", WARNING, f"{size(written)} of temporary files",
            "Sorts and hashes did not fit into work_mem.",
            "Look at the statements with temporary files; raise work_mem for their role.",
            "statements_by_temp", 0.1,
        )  # fmt: skip


def _checkpoints(known: Known) -> Iterator[Remark]:
    row = known.period.one("checkpointer")
    if row is None:
        return
    timed, asked = row.n("num_timed"), row.n("num_requested")
    if asked >= 6 and asked > timed:
        yield Remark(
            "checkpoints", WARNING, f"{asked} of {timed + asked} checkpoints came early",
            "WAL filled max_wal_size before checkpoint_timeout: each writes full pages anew.",
            "Raise max_wal_size.", "checkpoints", 0.15,
        )  # fmt: skip


def _dead(known: Known) -> Iterator[Remark]:
    for row in known.period.rows("tables"):
        live, dead = row.gauge("n_live_tup") or 0, row.gauge("n_dead_tup") or 0
        part = ratio(dead, live + dead) or 0.0
        if dead >= MIN_DEAD and part >= DEAD_RATIO:
            at = latest(row, "last_vacuum_at", "last_autovacuum_at")
            since = f"last vacuumed {moment(at)} UTC" if at else "never vacuumed"
            yield Remark(
                "dead-rows", WARNING, f"{name_of(row)}: {share(part)} of its rows are dead",
                f"{count(dead)} dead, {count(live)} live; {since}.",
                "See what holds vacuum back; lower autovacuum_vacuum_scale_factor for the table.",
                "table_vacuum", part * 0.5,
            )  # fmt: skip


def _errors(known: Known) -> Iterator[Remark]:
    rows = known.period.rows("database")
    deadlocks = sum(row.n("deadlocks") for row in rows)
    if deadlocks:
        yield Remark(
            "deadlocks", WARNING, f"{deadlocks} deadlock{'s' if deadlocks > 1 else ''}",
            "Transactions that lock the same rows in another order.",
            "Lock rows in one order; the server's log names both statements.", "databases", 0.4,
        )  # fmt: skip
    failures = sum(row.n("checksum_failures") for row in rows)
    if failures:
        yield Remark(
            "checksums", CRITICAL, f"{failures} pages with a wrong checksum", "Data is damaged.",
            "Stop, copy the data directory, check the disk, restore from a backup.", "databases", 9,
        )  # fmt: skip
    commits, undone = (sum(row.n(f"xact_{n}") for row in rows) for n in ("commit", "rollback"))
    part = ratio(undone, commits + undone) or 0.0
    if part >= ROLLBACKS and undone >= 100:
        yield Remark(
            "rollbacks", INFO, f"{share(part)} of transactions were rolled back",
            f"{count(undone)} of {count(commits + undone)}.", "Look at errors by route.",
            "databases", part,
        )  # fmt: skip


def _room(known: Known) -> Iterator[Remark]:
    timeline = known.period.timeline
    used = max((value or 0.0 for value in timeline.gauges("sessions")), default=0.0)
    most = max((value or 0.0 for value in timeline.gauges("max_connections")), default=0.0)
    if most and used / most >= CONNECTIONS:
        yield Remark(
            "connections", CRITICAL if used / most > 0.95 else WARNING,
            f"{used:,.0f} of {most:,.0f} connections in use", "The most in this period.",
            "Let applications connect through the gateway's pools.", "connections_now", used / most,
        )  # fmt: skip
    for row in known.period.rows("replication_slots"):
        kept = row.gauge("retained_bytes") or 0
        if kept >= SLOT_BYTES and not row.gauge("active"):
            yield Remark(
                "slot", CRITICAL, f"Slot {row.key[0]} keeps {size(kept)} of WAL",
                "Nobody reads it.",
                "Start its reader, or drop the slot.", "replication_slots", 2,
            )  # fmt: skip
    for row in known.period.rows("database_storage"):
        age = row.gauge("xid_age") or 0
        if age >= XID_AGE:
            yield Remark(
                "wraparound", CRITICAL, f"Wraparound: {row.labels.get('datname')} is {count(age)} "
                "transactions old", "At 2.1 billion PostgreSQL stops taking writes.",
                "Find what holds vacuum back, then VACUUM (FREEZE).", "databases", 3,
            )  # fmt: skip
    for row in known.period.rows("sequences"):
        part = (row.gauge("used_ppm") or 0) / 1e6
        if part >= SEQUENCE:
            yield Remark(
                "sequence", WARNING, f"Sequence {name_of(row)} is {share(part)} used",
                f"Its last value is {count(row.gauge('last_value') or 0)}.",
                "Make the column and its sequence bigint.", "sequences", part,
            )  # fmt: skip


RULES: tuple[Rule, ...] = (
    _slower, _plans, _locks, _overloaded, _io_bound, _dominant, _new, _repeated, _cache, _temp,
    _checkpoints, _dead, _errors, _room,
)  # fmt: skip
"""Each looks at one thing."""
