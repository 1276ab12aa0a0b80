"""The guard around every request: who may ask, what, and which headers the answer has."""

from __future__ import annotations

import traceback
from ipaddress import ip_address

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("dbopt.web")

_METHODS = ("GET", "HEAD")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}


def allowed_hosts(host: str) -> frozenset[str] | None:
    """The names by which a server on `host` may be asked; None for any.

    On loopback a page of another site could otherwise read the answers, once its name leads to
    127.0.0.1 (DNS rebinding). On other addresses names are the network's business.
    """
    return _LOOPBACK | {bracketed(host).lower()} if is_loopback(host) else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def bracketed(host: str) -> str:
    """A host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def without_port(host: str) -> str:
    """A Host header's name."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def failure(status: int, error: str, hint: str = "") -> JSONResponse:
    """An error's answer."""
    return JSONResponse({"error": error, "hint": hint}, status)


class Guard:
    """ASGI middleware: GET and HEAD only, known hosts only, no traceback ever, safe headers."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] != "http":
            return
        started = False

        async def hardened(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        try:
            await (refusal or self._app)(scope, receive, hardened)
        except Exception as error:
            _log(error, scope["path"])
            if started:
                raise
            answer = failure(500, "This request failed inside dbopt.", "Its log says where.")
            await answer(scope, receive, hardened)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        host = without_port(Headers(scope=scope).get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return failure(421, "This host name is not served here.", "Ask for localhost.")
        if scope["method"] not in _METHODS:
            answer = failure(405, "Only GET and HEAD are answered.", "Nothing can be changed here.")
            answer.headers["Allow"] = ", ".join(_METHODS)
            return answer
        return None


def _log(error: Exception, path: str) -> None:
    """Where it failed, and the type: the words might hold a literal."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "a request failed",
        path=path,
        error=type(error).__name__,
        where=f"{place.filename}:{place.lineno}",
    )
