"""Fixtures live by concern in `fix_*.py`; this file only names them."""

pytest_plugins = [
    "tests.fix_hypothesis",
    "tests.fix_skips",
    "tests.fix_workers",
    "tests.fix_logs",
    "tests.fix_signals",
    "tests.fix_pg",
    "tests.fix_standby",
    "tests.fix_gateway",
    "tests.fix_tls",
]
