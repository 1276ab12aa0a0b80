"""The HTTP application: metrics, health, status, statements, plans, the guard. Read only."""

from __future__ import annotations

from collections.abc import Collection
from html import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dbopt.errors import DboptError, UsageError
from dbopt.sql.fingerprint import fingerprint_hex, fingerprint_int
from dbopt.trace.summary import ORDERS
from dbopt.web.guard import Guard, allowed_hosts, failure
from dbopt.web.state import State, status

MAX_LIMIT = 1000
_LIMIT = 50

_LINKS = {
    "/status": "workers, pools, totals, jobs",
    "/statements?limit=50&order=total": f"statements; order is {', '.join(ORDERS)}",
    "/slow?limit=50": "slow statements, the newest first",
    "/guard?limit=50": "the guard: modes, what it refuses or would, quarantine",
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
        """Statements, the largest first by `order`."""
        given = _query(request, ("limit", "order"))
        found = self._state.recorder.statements(_limit(given), given.get("order", "total"))
        return JSONResponse([one.to_dict() for one in found])

    async def slow(self, request: Request) -> Response:
        """Slow statements, the newest first."""
        given = _query(request, ("limit",))
        return JSONResponse([event.to_dict() for event in self._state.slow.latest(_limit(given))])

    async def guard(self, request: Request) -> Response:
        """What the guard refuses, or would; the newest decisions first."""
        given = _query(request, ("limit",))
        return JSONResponse(self._state.guard.to_dict(_limit(given)))

    async def plan(self, request: Request) -> Response:
        """The latest plan of one statement."""
        _query(request, ())
        try:
            number = fingerprint_int(request.path_params["fingerprint"])
        except ValueError:
            raise UsageError(
                "A fingerprint is 16 hexadecimal digits.", hint="/statements lists them."
            ) from None
        plan = self._state.plans.latest(number)
        if plan is None:
            return failure(
                404,
                f"No plan of {fingerprint_hex(number)} was taken.",
                "Plans are taken of slow reads, while trace.plans is on.",
            )
        return JSONResponse(plan.to_dict())


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
            Route("/guard", pages.guard),
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


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit", str(_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise UsageError(f"limit is a whole number from 1 to {MAX_LIMIT}.")
    return int(text)
