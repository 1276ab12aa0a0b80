"""What several health rules need: grades, numbers in words, remedies, autovacuum's thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from dbopt.check.rule import Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Database, Named, Session, Table
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import qualified, quote_name

DAY = 86400.0
MB = 1 << 20
INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The largest value of each type."""


def graded(value: float | None, warning: float, critical: float) -> Severity | None:
    """How grave a value is; None where it is neither, or was not measured."""
    if value is None or value < min(warning, critical):
        return None
    return Severity.CRITICAL if value >= critical else Severity.WARNING


def duration(seconds: float) -> str:
    """Seconds in words: "45 s", "12 min", "3.4 h", "9.1 days"."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:.1f} days"


def size(count: float) -> str:
    """Bytes in words: "3.1 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def several(number: int, noun: str) -> str:
    """A number and its noun: "1 session", "3 sessions", "12,000 sessions"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def alter_system(health: Health, name: str, value: str, *, restart: bool = False) -> str:
    """How to set a parameter: a command, or, of a managed server, a sentence."""
    if health.server.managed_by:
        return f"Set {name} to {value} in the provider's parameters."
    then = " -- and restart" if restart else " SELECT pg_reload_conf();"
    return f"ALTER SYSTEM SET {name} = {value};{then}"


def literal(text: str) -> str:
    """An SQL string constant."""
    doubled = text.replace("'", "''")
    if "\\" not in doubled:
        return f"'{doubled}'"
    return "E'" + doubled.replace("\\", "\\\\") + "'"


def identifier(name: str) -> str:
    """An SQL identifier, quoted where it must be."""
    return quote_name(name)


def sql_name(named: Named) -> str:
    """A schema-qualified name as SQL needs it."""
    return qualified(named.schema, named.name)


def terminate(session: Session) -> str:
    """The statement that ends a session."""
    return f"SELECT pg_terminate_backend({session.pid});"


def clients(sessions: Iterable[Session]) -> list[Session]:
    """The sessions of clients; one that is hidden counts by its user."""
    return [s for s in sessions if s.kind == "client backend" or (not s.kind and s.username)]


def most(words: Iterable[str], number: int = 5) -> dict[str, int]:
    """The most frequent words, and how often they come."""
    return dict(Counter(words).most_common(number))


def counted(health: Health, limits: Check) -> list[Database]:
    """The databases whose counters have counted for long enough to be judged."""
    return [d for d in _real(health) if (d.counted_seconds or 0) >= limits.counter_window]


def too_young(rule: Rule, health: Health, limits: Check) -> Iterator[Finding]:
    """The finding that no database's counters have counted for long enough, if that is so."""
    if _real(health) and not counted(health, limits):
        words = duration(limits.counter_window)
        unseen = Unseen(
            "The counters began too short a time ago to be judged.",
            f"Ask again {words} after they began (check.counter_window).",
        )
        yield rule.blind(health.server.database, unseen)


def _real(health: Health) -> list[Database]:
    return [d for d in health.databases if not d.template]


def own_tables(health: Health) -> list[Table]:
    """The tables that users made and that hold rows: not the system's, nor dbopt's."""
    return [t for t in health.tables if not t.system and t.schema != "dbopt" and t.kind != "p"]


def vacuum_threshold(health: Health, table: Table) -> float:
    """Dead rows from which autovacuum comes to a table (documentation: "The Autovacuum Daemon")."""
    threshold = _threshold(health, table, "autovacuum_vacuum")
    most = _own(health, table, "autovacuum_vacuum_max_threshold")  # since 18
    return threshold if most is None or most < 0 else min(threshold, most)


def analyze_threshold(health: Health, table: Table) -> float:
    """Changed rows from which autovacuum analyzes a table."""
    return _threshold(health, table, "autovacuum_analyze")


def _threshold(health: Health, table: Table, prefix: str) -> float:
    base = _own(health, table, f"{prefix}_threshold")
    scale = _own(health, table, f"{prefix}_scale_factor")
    return (50.0 if base is None else base) + (0.2 if scale is None else scale) * max(0, table.rows)


def _own(health: Health, table: Table, name: str) -> float | None:
    """A table's own option, or the server's parameter; None where it has none."""
    option = table.option(name)
    return float(option) if option is not None else health.number(name)
