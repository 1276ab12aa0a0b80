"""Ctrl-C as it comes to a program of a terminal, however the tests themselves were started.

A shell without job control starts what it puts into the background with SIGINT ignored, and all
that such a program starts ignores it too: tests of Ctrl-C would wait for ever.
"""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
