"""Open files: how many a worker may have, and for how many clients that is room.

libuv accepts and closes at once, without a word, whoever comes when no descriptor is left. So
clients are refused before that, and told why; and who could not even be told is logged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from typing import Final

import structlog

from dbopt.gateway.routes import resolved
from dbopt.settings import Settings

log = structlog.get_logger("dbopt.gateway")

SPARE: Final = 64
"""Files for all else: the worker's own, and clients that have not logged in yet."""
_REMEDY: Final = "Raise the hard limit: LimitNOFILE= of a systemd unit, --ulimit nofile= of docker."


def raise_limit() -> None:
    """Take what the hard limit allows; the soft one is low for the sake of select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def backends(settings: Settings) -> int:
    """Server connections that the pools of one user of each database may have."""
    return sum(
        resolved(settings, "max_size", name, "") + resolved(settings, "reserve_size", name, "")
        for name in settings.databases or ("",)
    )


class OpenFiles:
    """The limit that holds for this process, and what it leaves for clients (`room`).

    `most` connections are taken at one time, logged in or not: who never says who it is would
    else take every file, that of a cancel and of a server connection too. It is about twice
    the clients, as PostgreSQL's MaxLivePostmasterChildren.
    """

    def __init__(self, settings: Settings) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = soft if soft != resource.RLIM_INFINITY else 1 << 30
        self.room = self.most = 0
        self._exhausted = False
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """The pools or max_clients are others: work it out anew, and warn of a limit too low."""
        servers, wanted = backends(settings), settings.gateway.max_clients
        self.room = max(1, self.limit - servers - SPARE)
        self.most = min(self.room + SPARE // 2, 2 * wanted + SPARE)
        if wanted > self.room:
            log.warning(
                "the limit of open files is too low for gateway.max_clients", limit=self.limit,
                max_clients=wanted, server_connections=servers, room_for_clients=self.room,
                hint=f"{_REMEDY} Or lower gateway.max_clients.",
            )  # fmt: skip

    def tick(self, connections: int) -> None:
        """Say it once when no file can be opened any more."""
        exhausted = connections > self.room and _none_left()
        if exhausted and not self._exhausted:
            log.error(
                "no file descriptor is left: new connections are closed unheard",
                limit=self.limit, connections=connections, hint=_REMEDY,
            )  # fmt: skip
        self._exhausted = exhausted


def _none_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
