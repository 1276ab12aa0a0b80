from __future__ import annotations

from tests.integration.rewrite_case import Case

CASES: tuple[Case, ...] = ()
