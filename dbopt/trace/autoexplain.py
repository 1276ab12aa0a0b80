"""auto_explain's entries in the server's log: the statement, how long it ran, and its plan. PURE.

Source: PostgreSQL's documentation, "auto_explain".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from dbopt.pg.plan import Plan, parse_plan
from dbopt.pg.plantext import document, is_node
from dbopt.trace.serverlog import Message

_DURATION = re.compile(r"duration: ([0-9]+\.[0-9]+) ms  plan:\n")
_TEXT = "Query Text: "
_PARAMETERS = "Query Parameters: "
_OWN = "/* dbopt */"


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
    found = _DURATION.search(message.text)
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
    start = next((at for at, line in enumerate(lines) if is_node(line)), len(lines))
    head = [line for line in lines[:start] if not line.startswith(_PARAMETERS)]
    sql = "\n".join(head).removeprefix(_TEXT) if head and head[0].startswith(_TEXT) else ""
    return sql, parse_plan(document(lines[start:]))
