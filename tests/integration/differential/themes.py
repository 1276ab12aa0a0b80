"""All scripts, by name."""

from __future__ import annotations

from tests.integration.differential import (
    scripts_bad,
    scripts_copy,
    scripts_errors,
    scripts_large,
    scripts_pipelines,
    scripts_portals,
    scripts_prepared,
    scripts_session,
    scripts_simple,
    scripts_sql_prepare,
)
from tests.integration.differential.script import Scripts

THEMES: dict[str, Scripts] = {
    "simple": scripts_simple.SCRIPTS,
    "pipelines": scripts_pipelines.SCRIPTS,
    "errors": scripts_errors.SCRIPTS,
    "prepared": scripts_prepared.SCRIPTS,
    "sql prepare": scripts_sql_prepare.SCRIPTS,
    "portals": scripts_portals.SCRIPTS,
    "copy": scripts_copy.SCRIPTS,
    "session": scripts_session.SCRIPTS,
    "large": scripts_large.SCRIPTS,
    "bad": scripts_bad.SCRIPTS,
}

ALL: Scripts = {
    f"{theme}: {name}": script for theme, found in THEMES.items() for name, script in found.items()
}
