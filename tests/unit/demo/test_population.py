from __future__ import annotations

import pytest

from dbopt.demo.population import DIFFICULTIES, STATUSES, Population, email_of, scattered


@pytest.mark.parametrize("count", [1, 40, 2_000, 50_000])
def test_scattered_reaches_every_id_once(count: int) -> None:
    assert sorted(scattered(rank, count) for rank in range(count)) == list(range(1, count + 1))


@pytest.mark.parametrize("shares", [STATUSES, DIFFICULTIES])
def test_shares_add_up(shares: dict[str, float]) -> None:
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1.0, Population(50_000, 2_000)), (0.1, Population(5_000, 200)), (0.0, Population(1, 1))],
)
def test_scaled(scale: float, expected: Population) -> None:
    assert Population.scaled(scale) == expected


def test_email_of() -> None:
    assert email_of(7) == "user7@example.com"
