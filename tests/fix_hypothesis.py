"""Which examples the property tests try, and how many: `make fuzz` asks for the long run.

By default the same ones each time, so that a run fails for what has changed and not by chance; the
long run looks for more. Neither is about time: a busy machine may take long over an example.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support import LONG, examples

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("short", UNTIMED, derandomize=True)
settings.register_profile("long", UNTIMED, max_examples=examples(100))
settings.load_profile("long" if LONG else "short")
