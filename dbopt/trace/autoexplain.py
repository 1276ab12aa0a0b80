"""auto_explain's entries in the server's log: the statement, how long it ran, and its plan. PURE.

Source: PostgreSQL's documentation, "auto_explain".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dbopt.pg.plan import Plan, parse_plan
from dbopt.pg.plantext import document, is_node
from dbopt.sql.lexer import texts
from dbopt.trace.serverlog import Message

_DURATION = re.compile(r"duration: ([0-9]+\.[0-9]+) ms  plan:\n")
_TEXT = "Query Text: "
_PARAMETERS = "Query Parameters: "
_OWN = "/* dbopt */"
_MOST_TRIED = 5


@dataclass(frozen=True, slots=True)
class LoggedPlan:
    """One entry. `sql` is the text as it ran: for its fingerprint alone, it is never kept."""

    sql: str
    database: str
    user: str
    pid: int
    duration_ms: float
    plan: Plan


def logged_plan(message: Message) -> LoggedPlan | None:
    """The entry in a message; None where it is none, or of a format other than text and JSON.

    A statement of dbopt's own is none either. The plan is without constants.
    """
    found = _DURATION.match(message.text)
    if found is None:
        return None
    body = message.text[found.end() :]
    try:
        sql, plan = _of_json(body) if body.lstrip().startswith("{") else _of_text(body)
    except (ValueError, RecursionError):
        return None
    if not sql or _OWN in sql:
        return None
    duration = float(found[1])
    return LoggedPlan(sql, message.database, message.user, message.pid, duration, plan)


def _of_json(body: str) -> tuple[str, Plan]:
    read: Any = json.loads(body)
    if not isinstance(read, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as for any other text that is no plan
    sql = str(read.get("Query Text", ""))
    # The parameters are values, and the text's constants are too.
    kept = {key: value for key, value in read.items() if not key.startswith("Query ")}
    return sql, parse_plan([kept])


def _of_text(body: str) -> tuple[str, Plan]:
    lines = body.split("\n")
    if not lines[0].startswith(_TEXT):
        return "", parse_plan(document(lines))
    lines[0] = lines[0].removeprefix(_TEXT)
    start = _first(lines, _is_root)
    end = _first(lines[:start], lambda line: line.startswith(_PARAMETERS))
    return "\n".join(lines[:end]), parse_plan(document(lines[start:]))


def _first(lines: list[str], wanted: Callable[[str], bool]) -> int:
    """The first such line that is none of a constant's in the query; else how many there are."""
    found = (at for at, line in enumerate(lines) if wanted(line))
    for at in islice(found, _MOST_TRIED):
        if not _is_open("\n".join(lines[:at])):
            return at
    return len(lines)


def _is_root(line: str) -> bool:
    return line[:1] not in (" ", "-") and is_node(line)  # not indented, and without an arrow


def _is_open(sql: str) -> bool:
    """Whether a text ends within a constant, a name or a comment: one more line is in it, too."""
    return texts(f"{sql}\n0")[-1] != "0"
