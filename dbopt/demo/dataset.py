"""The AI Skills data set: skewed as real ones are, the same on every load.

The rows are made in the server, by INSERT … SELECT from generate_series after setseed, since
that is faster than sending them. Times are relative to the load, so that "today" has rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

from dbopt.demo.population import (
    DIFFICULTIES,
    PROGRESS,
    SKEW,
    STATUSES,
    STRIDE,
    SUBMISSIONS,
    TOPICS,
    Population,
)
from dbopt.errors import UsageError
from dbopt.pg.connect import Connection, connect

Report = Callable[[str, int, int], None]
"""Called with the table, the rows made so far, and the rows to make."""

SEED = 0.42
BATCH = 25_000
DAYS = 730
"""How far back the data go."""

_AFTER_THE_DATA = "-- after the data --"

# Each gets %(first)s and %(last)s, the ids of its batch, and the parameters of `_parameters`.
# Rows come in the order of time, as an application appends them, and closer together the
# more recent they are.
_USERS = """
INSERT INTO users (id, email, display_name, streak_days, created_at, last_active)
SELECT i, format('user%%s@example.com', i),
       (ARRAY['Ada','Grace','Alan','Edsger','Barbara','Donald','Radia','Ken'])[1 + i %% 8]
           || ' ' || i,
       floor(30 * power(random(), 4)),
       made,
       CASE WHEN random() < 0.92 THEN now() - (now() - made) * power(random(), 3) END
FROM generate_series(%(first)s::bigint, %(last)s) AS i,
     LATERAL (SELECT now() - make_interval(secs => %(span)s * power(1 - i::float8 / %(total)s, 1.5))
              AS made) AS times
"""
_LESSONS = """
INSERT INTO lessons (id, title, summary, difficulty, topics, minutes, created_at)
SELECT i, initcap(topic) || ': lesson ' || i,
       repeat('What you learn, why it matters, and an exercise to try it. ', 5),
       (%(difficulties)s::text[])[width_bucket(random(), %(difficulty_shares)s::float8[]) + 1],
       ARRAY(SELECT DISTINCT (%(topics)s::text[])
                 [1 + floor(%(topic_count)s * power(random(), 2))::int]
             FROM generate_series(1, 1 + i %% 3)
             UNION SELECT topic),
       5 + floor(40 * random()),
       now() - make_interval(secs => %(span)s * (1 - i::float8 / %(total)s))
FROM (SELECT i, (%(topics)s::text[])[1 + floor(%(topic_count)s * power(random(), 2))::int] AS topic
      FROM generate_series(%(first)s::bigint, %(last)s) AS i) AS drawn
"""
_PROGRESS = """
INSERT INTO user_progress (id, user_id, lesson_id, started_at, completed_at, score)
SELECT i,
       1 + floor(%(users)s * power(random(), %(skew)s))::bigint * %(stride)s %% %(users)s,
       1 + floor(%(lessons)s * power(random(), %(skew)s))::bigint * %(stride)s %% %(lessons)s,
       began,
       CASE WHEN done THEN least(now(), began + make_interval(mins => 5 + (random() * 60)::int))
       END,
       CASE WHEN done THEN 100 - floor(60 * power(random(), 2)) END
FROM (SELECT i, random() < 0.8 AS done,
             now() - make_interval(secs => %(span)s * power(1 - i::float8 / %(total)s, 1.5))
                 AS began
      FROM generate_series(%(first)s::bigint, %(last)s) AS i) AS drawn
"""
_SUBMISSIONS = """
INSERT INTO project_submissions
    (id, user_id, title, repository, status, submitted_at, feedback)
SELECT i, who, 'Project ' || i, format('https://git.example.com/%%s/%%s', who, i), status, made,
       CASE WHEN status IN ('approved', 'rejected') THEN repeat('Clear goal, good tests. ', 4) END
FROM (SELECT i,
             1 + floor(%(users)s * power(random(), %(skew)s))::bigint * %(stride)s %% %(users)s
                 AS who,
             (%(statuses)s::text[])[width_bucket(random(), %(status_shares)s::float8[]) + 1]
                 AS status,
             now() - make_interval(secs => %(span)s * power(1 - i::float8 / %(total)s, 1.5)) AS made
      FROM generate_series(%(first)s::bigint, %(last)s) AS i) AS drawn
"""


@dataclass(frozen=True, slots=True)
class _Table:
    name: LiteralString
    insert: LiteralString
    rows: int


def load(
    target: Connection | str, scale: float = 1.0, progress: Report = lambda *_: None
) -> dict[str, int]:
    """Make the tables, fill them, analyze them; gives the rows of each table.

    At scale 1.0 there are 50,000 users, 2,000 lessons, 300,000 rows of progress and 100,000
    submissions. Raises UsageError when the database holds one of the tables already.
    """
    with _connection(target) as connection:
        if is_loaded(connection):
            raise UsageError(
                "The database already holds the demonstration's tables.",
                hint="Load into an empty database.",
            )
        tables_sql, _, keys_sql = _schema().partition(_AFTER_THE_DATA)
        connection.execute(tables_sql)
        connection.execute("SELECT setseed(%s)", [SEED])
        tables = _tables(scale)
        for table in tables:
            _fill(connection, table, Population.scaled(scale), progress)
        connection.execute(keys_sql)
        connection.execute("VACUUM (ANALYZE) users, lessons, user_progress, project_submissions")
        return {table.name: table.rows for table in tables}


def is_loaded(connection: Connection) -> bool:
    """Whether the database holds one of the data set's tables."""
    names = [table.name for table in _tables(1.0)]
    query = "SELECT FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    return connection.execute(query, [names]).fetchone() is not None


def population(connection: Connection) -> Population:
    """How many users and lessons a loaded database has."""
    query = "SELECT (SELECT max(id) FROM users) AS u, (SELECT max(id) FROM lessons) AS l"
    row = connection.execute(query).fetchone()
    return Population(row["u"], row["l"]) if row else Population()


def _schema() -> LiteralString:
    return files("dbopt.demo").joinpath("schema.sql").read_text(encoding="utf-8")


def _tables(scale: float) -> list[_Table]:
    people = Population.scaled(scale)
    return [
        _Table("users", _USERS, people.users),
        _Table("lessons", _LESSONS, people.lessons),
        _Table("user_progress", _PROGRESS, max(1, round(PROGRESS * scale))),
        _Table("project_submissions", _SUBMISSIONS, max(1, round(SUBMISSIONS * scale))),
    ]


@contextmanager
def _connection(target: Connection | str) -> Iterator[Connection]:
    if isinstance(target, str):
        with connect(target) as connection:
            yield connection
    else:
        yield target


def _fill(connection: Connection, table: _Table, people: Population, progress: Report) -> None:
    parameters = _parameters(people)
    progress(table.name, 0, table.rows)
    for first in range(1, table.rows + 1, BATCH):
        last = min(first + BATCH - 1, table.rows)
        batch = {"first": first, "last": last, "total": table.rows}
        connection.execute(table.insert, {**parameters, **batch})
        progress(table.name, last, table.rows)
    # Identity columns go on after the ids that we gave.
    connection.execute(
        "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table.name, table.rows]
    )


def _parameters(people: Population) -> dict[str, object]:
    return {
        "users": people.users,
        "lessons": people.lessons,
        "skew": SKEW,
        "stride": STRIDE,
        "span": DAYS * 86_400.0,
        "topics": list(TOPICS),
        "topic_count": len(TOPICS),
        "difficulties": list(DIFFICULTIES),
        "difficulty_shares": _thresholds(DIFFICULTIES),
        "statuses": list(STATUSES),
        "status_shares": _thresholds(STATUSES),
    }


def _thresholds(shares: dict[str, float]) -> list[float]:
    """Where one choice ends and the next begins, for width_bucket: {a: .7, b: .3} gives [.7]."""
    total, result = 0.0, []
    for share in list(shares.values())[:-1]:
        total += share
        result.append(total)
    return result
