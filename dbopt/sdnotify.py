"""systemd's readiness protocol (sd_notify(3)): a datagram to the socket that it names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(state: str, env: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd, e.g. `READY=1`; whether it asked to be told. Never raises."""
    path = env.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    # A leading @ means the abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(state.encode(), address)
    except OSError:
        return False
    return True
