"""No TLS on a server that listens beyond this machine: what passes can be read on the way."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

LOCAL = ("localhost", "127.0.0.1", "::1")


def _find(health: Health, limits: Check) -> Found:
    listens = [word.strip() for word in (health.text("listen_addresses") or "").split(",")]
    beyond = [word for word in listens if word and word not in LOCAL]
    if health.off("ssl") and beyond:
        yield RULE.says(
            Severity.WARNING,
            "ssl",
            f"It is off, and the server listens on {', '.join(beyond)}.",
            "Give it a certificate (ssl_cert_file, ssl_key_file), then: "
            + alter_system(health, "ssl", "on"),
            listen_addresses=beyond,
        )


RULE = Rule("ssl-off", "Security", __doc__, _find)
