"""Whether OpenTelemetry is there: it is an extra, and nothing of it is imported before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dbopt.errors import ConfigError
from dbopt.otelsettings import Otel

if TYPE_CHECKING:
    from dbopt.otel.telemetry import Telemetry

_MODULE = "dbopt.otel.telemetry"


def telemetry(settings: Otel, **given: Any) -> Telemetry | None:
    """The Telemetry of these settings; None where otel.enabled is off.

    `given` are its other arguments. Raises ConfigError where OpenTelemetry is not installed.
    """
    if not settings.enabled:
        return None
    try:
        module = importlib.import_module(_MODULE)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ConfigError(
            "otel.enabled is on, but OpenTelemetry is not installed.",
            hint="Run pip install 'dbopt[otel]', or set otel.enabled to false.",
        ) from None
    made: Telemetry = module.Telemetry(settings, **given)
    return made
