"""What commands share that look back: times, the store, and the daemon where there is no store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import click

from dbopt.cli.status import base_url, fetch
from dbopt.errors import ConnectError, StoreMissing, UsageError
from dbopt.pg.connect import AsyncConnection, connect_async, resolve
from dbopt.pg.pool import session_options
from dbopt.settings import Settings
from dbopt.stats.report.times import parse_time
from dbopt.trace.summary import fingerprint_given

T = TypeVar("T")


class Moment(click.ParamType[datetime]):
    """A time as people give it: 1h, yesterday, 09:30, 2026-03-01T09:00. Local."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment; what is none is a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value, datetime.now().astimezone())
        except UsageError as error:
            self.fail(f"{error.message} {error.hint}", param, ctx)


class Fingerprint(click.ParamType[int]):
    """16 hexadecimal digits."""

    name = "fingerprint"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; what is none is a usage error."""
        if isinstance(value, int):
            return value
        try:
            return fingerprint_given(value)
        except UsageError as error:
            self.fail(f"{error.message} {error.hint}", param, ctx)


MOMENT = Moment()
FINGERPRINT = Fingerprint()


def from_store(settings: Settings, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The result of `work`, given a connection to the store. Raises ConnectError, and as `work`."""

    async def main() -> T:
        dsn = settings.store_dsn
        options = session_options(resolve(dsn).get("options", ""), settings.stats.statement_timeout)
        async with await connect_async(
            dsn, timeout=settings.server.connect_timeout, options=options
        ) as connection:
            return await work(connection)

    return asyncio.run(main())


def from_either(
    settings: Settings,
    work: Callable[[AsyncConnection], Awaitable[T]],
    daemon: Callable[[str], T],
) -> tuple[T, str]:
    """From the store, else from the daemon at a URL; and which of them, "store" or "daemon".

    Raises the store's error where the daemon does not answer either.
    """
    try:
        return from_store(settings, work), "store"
    except (StoreMissing, ConnectError) as missing:
        try:
            return daemon(base_url(settings.http)), "daemon"
        except ConnectError as error:
            if isinstance(missing, ConnectError):
                raise missing from None
            raise StoreMissing(
                f"{missing.message} And the daemon does not help: {error.message}",
                hint="Make the store with `dbopt migrate upgrade`, and start the daemon with "
                "`dbopt serve`.",
            ) from None


def ask(base: str, path: str, **given: Any) -> Any:
    """The daemon's JSON; arguments that are None are left out. Raises ConnectError."""
    chosen = {name: value for name, value in given.items() if value is not None}
    return fetch(base, f"{path}?{urlencode(chosen)}" if chosen else path)
