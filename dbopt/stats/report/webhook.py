"""Sends a report to a webhook: one POST of JSON. The URL is a secret and is never shown."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from dbopt import __version__
from dbopt.clock import backoff
from dbopt.configcheck import webhook_conflict
from dbopt.errors import ConfigError, DboptError
from dbopt.reportsettings import Report as Settings
from dbopt.stats.report.model import Report
from dbopt.stats.report.text import heading, markdown

ATTEMPTS = 4
MAX_MARKDOWN = 200_000
"""Characters of the report that are sent; the file has all of it."""
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


def payload(report: Report, link: str = "") -> dict[str, Any]:
    """What is sent. `text` is what Slack, Mattermost and Teams show; `report` is Markdown. PURE."""
    lines = [f"*{heading(report)}*", report.verdict]
    lines += [f"{place}. {r.title}: {r.evidence}" for place, r in enumerate(report.remarks, 1)]
    document = report.to_dict()
    kept = ("format", "server", "database", "from", "to", "verdict", "summary", "key_figures")
    return {
        "text": "\n".join([*lines, link] if link else lines),
        **{name: document[name] for name in kept},
        "link": link,
        "report": markdown(report)[:MAX_MARKDOWN],
    }


def allowed(url: str, insecure: bool) -> None:
    """Raises ConfigError for a URL that would carry the report in the clear, or is none. PURE."""
    words, hint = webhook_conflict(url, insecure)
    if words:
        raise ConfigError(f"report.webhook: {words}", hint=hint)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead from https to http, or to a host that nobody has chosen."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


def send(
    report: Report, settings: Settings, link: str = "", sleep: Callable[[float], None] = time.sleep
) -> None:
    """POST the report, at most ATTEMPTS times; blocks, so call it in a thread.

    Raises ConfigError for a URL that may not be used, DboptError when it was not taken.
    """
    allowed(settings.webhook, settings.webhook_insecure)
    body = json.dumps(payload(report, link), ensure_ascii=False).encode()
    delays = backoff(1.0, 30.0)
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(next(delays))
        reason, again = _post(settings.webhook, body, settings.webhook_timeout)
        if not reason:
            return
        if not again:
            break
    raise DboptError(f"The webhook did not take the report: {reason}.", hint="See report.webhook.")


def _post(url: str, body: bytes, timeout: float) -> tuple[str, bool]:
    """One attempt: why it failed, "" if it did not, and whether another may help."""
    headers: Mapping[str, str] = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"dbopt/{__version__}",
    }
    # `allowed` has looked at the scheme.
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=timeout) as answer:
            answer.read(1024)
        return "", False
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}", error.code in _AGAIN
    except (OSError, http.client.HTTPException) as error:
        # The words of some errors hold the URL; the kind of error is enough.
        cause = getattr(error, "reason", error)
        return f"it could not be reached ({type(cause).__name__})", True
