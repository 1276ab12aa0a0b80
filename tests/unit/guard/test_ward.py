"""What is in quarantine, as the process knows it."""

from __future__ import annotations

from dbopt.guard.ward import Ward
from dbopt.store.quarantine import Quarantine


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def one(
    number: int = 1, expires: float = 100.0, database: str = "", reason: str = ""
) -> Quarantine:
    return Quarantine(number, expires, database, reason)


def test_what_has_changed() -> None:
    ward = Ward(Time())
    assert [1, 2] == ward.take([one(1), one(2)])
    assert [] == ward.take([one(2), one(1)])
    assert [] == ward.take([one(1, 100.5), one(2, 99.5)]), "clocks are read anew each time"
    assert [1] == ward.take([one(1, 200.0), one(2)])
    assert [2] == ward.take([one(1, 200.0), one(2, reason="x")])
    assert [3] == ward.take([one(1, 200.0), one(2, reason="x"), one(3, database="app")])
    assert [1, 2, 3] == ward.take([])
    assert [] == ward.take([])


def test_it_holds_in_its_database_until_its_end() -> None:
    time = Time()
    ward = Ward(time)
    ward.take([one(1, 50.0, "app"), one(2, 100.0), one(2, 70.0, "app")])
    assert one(1, 50.0, "app") == ward.find(1, "app")
    assert None is ward.find(1, "other")
    assert one(2) == ward.find(2, "other")
    assert one(2) == ward.find(2, "app"), "the one that lasts longer"
    assert None is ward.find(3, "app")
    assert [50.0, 70.0, 100.0] == [held.expires for held in ward.held()]
    time.now = 50.0
    assert None is ward.find(1, "app")
    assert [70.0, 100.0] == [held.expires for held in ward.held()]
