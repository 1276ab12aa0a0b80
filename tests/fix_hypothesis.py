"""How many examples the property tests try: `make fuzz` asks for the long run."""

from __future__ import annotations

from hypothesis import settings

from tests.support import LONG, examples

settings.register_profile("long", max_examples=examples(100), deadline=None)
if LONG:
    settings.load_profile("long")
