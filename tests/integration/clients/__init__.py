"""Real clients, each direct and through the gateway, with equal results."""

import pytest

pytest.register_assert_rewrite(
    "tests.integration.clients.routes", "tests.integration.clients.neighbours"
)
