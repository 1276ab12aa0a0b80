from __future__ import annotations

from dbopt.stats.exposition.shelf import Series, Shelf


def shelf(limit: int = 1) -> Shelf:
    """A counter, a gauge that adds up, and one that does not."""
    return Shelf(limit, (True, False, False), (True, True, False))


def put(on: Shelf, **counts: float) -> None:
    on.put({(name,): Series((count, 1.0, count), count) for name, count in counts.items()})


def own(of: Shelf) -> set[str]:
    return {labels[0] for labels, _ in of.shown()}


def test_the_largest_have_places() -> None:
    some = shelf(2)
    put(some, a=1, b=3, c=2)
    assert {"b", "c"} == own(some)
    assert (1, 1.0, 1) == some.others()


def test_without_others_there_is_no_rest() -> None:
    some = shelf(2)
    put(some, a=1, b=3)
    assert some.others() is None


def test_a_place_is_kept_while_its_series_is_large() -> None:
    some = shelf(1)
    put(some, a=2, b=1)
    put(some, a=2, b=3)
    assert {"a"} == own(some)
    put(some, a=2, b=3, c=4)  # a is not among the first two any more
    assert {"c"} == own(some)


def test_the_rest_never_goes_down() -> None:
    some = shelf(1)
    sums = []
    for counts in (
        {"a": 9, "b": 5},
        {"a": 9, "b": 7},
        {"a": 9},
        {"b": 8, "c": 1},
        {"b": 9, "c": 3},
    ):
        put(some, **counts)
        others = some.others()
        sums.append(others and others[0])
    # b counted 5 before, then 2 more; c is new, so that only what it counts from now on is told.
    assert [5, 7, 7, 7, 9] == sums


def test_a_reset_counts_what_came_since() -> None:
    some = shelf(1)
    put(some, a=9, b=5)
    put(some, a=9, b=2)
    assert (7, 1.0, 2) == some.others()


def test_gauges_add_up_or_are_the_largest() -> None:
    some = shelf(1)
    put(some, a=9, b=5, c=3)
    assert (8, 2.0, 5) == some.others()
