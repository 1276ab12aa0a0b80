"""The HTTP application: metrics, health, status, statements, plans, activity, the guard."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from html import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dbopt.errors import DboptError, UsageError
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.trace.slow import Wanted
from dbopt.trace.summary import (
    DIMENSIONS,
    ORDERS,
    ScopeSummary,
    StatementSummary,
    fingerprint_given,
)
from dbopt.trace.transactions import ORDERS as TRANSACTION_ORDERS
from dbopt.trace.transactions import SCOPE
from dbopt.web.guard import Guard, allowed_hosts, failure
from dbopt.web.state import Shown, State, activity, status

MAX_LIMIT = 1000
_LIMIT = 50

_LINKS = {
    "/status": "workers, pools, totals, jobs",
    "/statements?limit=50&order=total": f"statements; order is {', '.join(ORDERS)}; by is "
    f"{', '.join(DIMENSIONS)}, and each of these chooses",
    "/slow?limit=50": "slow statements and failed ones, the newest first; order=duration, errors=1",
    "/transactions?limit=50": f"transactions, N+1; order is {', '.join(TRANSACTION_ORDERS)}",
    "/activity": "what sessions wait for, sampled once a second",
    "/guard?limit=50": "the guard: modes, what it refuses or would, quarantine",
    "/check": "the health checks' latest findings",
    "/collection": "who collects, what each collector costs, what was not examined",
    "/metrics": "metrics for Prometheus",
    "/healthz": "whether dbopt lives",
    "/readyz": "whether a statement can be served",
}
_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>dbopt</title></head>
<body><h1>dbopt {version}</h1><p>Gateway: {gateway}</p><ul>
{links}
</ul><p>A statement's plan: /plans/ and its fingerprint.</p></body></html>
"""


class Pages:
    """One method a page."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def index(self, request: Request) -> Response:
        """Links to the rest."""
        _query(request, ())
        host, port = self._state.gateway
        links = "\n".join(
            f'<li><a href="{escape(path)}">{escape(path)}</a>: {escape(what)}</li>'
            for path, what in _LINKS.items()
        )
        gateway = f"{host}:{port}" if host else "no TCP"
        page = _INDEX.format(
            version=escape(self._state.version), gateway=escape(gateway), links=links
        )
        return HTMLResponse(page)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text, or OpenMetrics where it is asked for."""
        body, content_type = self._state.metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def healthz(self, request: Request) -> Response:
        """200 while the process lives."""
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        """200 where a statement can be served, else 503 and why not."""
        reason = await self._state.unready()
        return JSONResponse({"ready": not reason, "reason": reason}, 503 if reason else 200)

    async def status(self, request: Request) -> Response:
        """See web.state.status."""
        _query(request, ())
        return JSONResponse(status(self._state))

    async def statements(self, request: Request) -> Response:
        """Statements, or sums by who ran them, the largest first by `order`."""
        given = _query(request, ("limit", "order", "by", *DIMENSIONS))
        by, where = given.get("by", "fingerprint"), _chosen(given)
        limit, order, recorder = _limit(given), given.get("order", "total"), self._state.recorder
        found: Sequence[StatementSummary | ScopeSummary] = (
            recorder.statements(limit, order, where)
            if by == "fingerprint"
            else recorder.scopes(by, limit, order, where)
        )
        return JSONResponse([one.to_dict() for one in found])

    async def slow(self, request: Request) -> Response:
        """Slow statements, the newest first, or the longest."""
        given = _query(request, ("limit", "order", "errors", "since", "until", *DIMENSIONS))
        fields: dict[str, object] = dict(_chosen(given))
        if "fingerprint" in given:
            fields["fingerprint"] = fingerprint_given(given["fingerprint"])
        chosen = Wanted(
            fields=tuple(fields.items()),
            errors=given.get("errors", "0") not in ("", "0", "false"),
            since=_moment(given, "since", 0.0),
            until=_moment(given, "until", float("inf")),
            order=given.get("order", "time"),
        )
        found = self._state.slow.latest(_limit(given), chosen)
        return JSONResponse([event.to_dict() for event in found])

    async def transactions(self, request: Request) -> Response:
        """Transactions by who ran them, and which statements repeat in them."""
        given = _query(request, ("limit", "order", "by", *SCOPE))
        limit, where, seen = _limit(given), _chosen(given), self._state.transactions
        order = given.get("order", "total")
        return JSONResponse(
            {
                "totals": seen.totals(),
                "transactions": seen.scopes(given.get("by", ""), limit, order, where),
                "repeated": seen.repeated(limit, where),
            }
        )

    async def activity(self, request: Request) -> Response:
        """See web.state.activity."""
        _query(request, ())
        return JSONResponse(activity(self._state))

    async def guard(self, request: Request) -> Response:
        """What the guard refuses, or would; the newest decisions first."""
        given = _query(request, ("limit",))
        return JSONResponse(self._state.guard.to_dict(_limit(given)))

    async def check(self, request: Request) -> Response:
        """The health checks' latest findings; "findings" is null before the first round."""
        _query(request, ())
        return _shown(self._state.checks)

    async def collection(self, request: Request) -> Response:
        """Who collects, what each collector costs, and what was not examined."""
        _query(request, ())
        return _shown(self._state.collection)

    async def plan(self, request: Request) -> Response:
        """The latest plan of one statement, and every shape that its plans have had."""
        _query(request, ())
        number = fingerprint_given(request.path_params["fingerprint"])
        plan, shapes = self._state.plans.latest(number), self._state.plans.shapes(number)
        if plan is None and not shapes:
            return failure(
                404,
                f"No plan of {fingerprint_hex(number)} was taken.",
                "Plans are taken of slow reads, while trace.plans is on.",
            )
        latest = plan.to_dict() if plan else {"fingerprint": fingerprint_hex(number)}
        return JSONResponse(latest | {"plans": shapes})


def create_app(state: State, host: str = "127.0.0.1") -> Starlette:
    """The application. `host` is the address that it will listen on: see guard.allowed_hosts."""
    pages = Pages(state)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/metrics", pages.metrics),
            Route("/healthz", pages.healthz),
            Route("/readyz", pages.readyz),
            Route("/status", pages.status),
            Route("/statements", pages.statements),
            Route("/slow", pages.slow),
            Route("/transactions", pages.transactions),
            Route("/activity", pages.activity),
            Route("/guard", pages.guard),
            Route("/check", pages.check),
            Route("/collection", pages.collection),
            Route("/plans/{fingerprint}", pages.plan),
        ],
        middleware=[Middleware(Guard, hosts=allowed_hosts(host))],
        exception_handlers={DboptError: _refused, HTTPException: _http_error},
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, DboptError)  # noqa: S101 - Starlette's type is wider
    return failure(error.http_status, error.message, error.hint)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's type is wider
    hint = "/ lists what there is." if error.status_code == 404 else ""
    return failure(error.status_code, f"{error.detail}.", hint)


def _query(request: Request, allowed: Collection[str]) -> dict[str, str]:
    """The query's arguments; UsageError for one that is unknown or given twice."""
    given = request.query_params
    known = ", ".join(allowed) or "none"
    for name in given:
        if name not in allowed:
            raise UsageError("The query has an unknown argument.", hint=f"Known here: {known}.")
        if len(given.getlist(name)) > 1:
            raise UsageError(f"The query gives {name} twice.")
    return dict(given)


def _shown(part: Shown) -> Response:
    # Evidence may hold times, which are shown as text.
    body = json.dumps(part.to_dict(), default=str)
    return Response(body, media_type="application/json")


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit", str(_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise UsageError(f"limit is a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _chosen(given: dict[str, str]) -> dict[str, str]:
    """The dimensions that the query names."""
    return {name: given[name] for name in DIMENSIONS if name in given}


def _moment(given: dict[str, str], name: str, default: float) -> float:
    """A time in ISO 8601 (UTC where it names no zone) as epoch seconds."""
    if name not in given:
        return default
    try:
        moment = datetime.fromisoformat(given[name])
    except ValueError:
        raise UsageError(f"{name} is a time in ISO 8601, such as 2026-03-01T09:00.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
