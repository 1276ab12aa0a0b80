"""What a startup packet asks of its session."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.wishes import place, wishes
from dbopt.wire import buffer


def name_of(name: str | None, host: str = "") -> str | None:
    given = {} if name is None else {"application_name": name}
    return wishes({"user": "ann", **given}, host).get("application_name")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("web", "web"),
        ("", ""),
        ("caf\u00e9", r"caf\xc3\xa9"),
        ("a\nb\x7f", r"a\x0ab\x7f"),
        (buffer.decode(b"\xff"), r"\xff"),
        ("x" * 100, "x" * 63),
    ],
)
def test_application_name_is_kept_as_postgresql_does(given: str, kept: str) -> None:
    assert kept == name_of(given)


def test_no_application_name() -> None:
    assert name_of(None) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("web", "web - 10.0.0.1:5000"),
        ("", "app - 10.0.0.1:5000"),
        (None, "app - 10.0.0.1:5000"),
        ("x" * 100, "x" * 47 + " - 10.0.0.1:5000"),
    ],
)
def test_application_name_add_host(given: str | None, kept: str) -> None:
    found = name_of(given, "10.0.0.1:5000")
    assert kept == found
    assert found is not None
    assert len(found) <= 63


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (("10.0.0.1", 5000), "10.0.0.1:5000"),
        (("::1", 5000, 0, 0), "[::1]:5000"),
        ("", "unix"),
        (None, "unix"),
    ],
)
def test_place(peer: object, words: str) -> None:
    assert words == place(peer)


def test_options_escapes() -> None:
    options = r"-c search_path=a\ b,\\c --work-mem=4MB -cDateStyle=ISO"
    found = wishes({"user": "ann", "options": options})
    assert {"search_path": "a b,\\c", "work_mem": "4MB", "DateStyle": "ISO"} == found


@pytest.mark.parametrize(
    "parameters",
    [
        {"options": "-c a'b=1"},
        {"options": "-c x=1;DROP TABLE t=2 -d 5"},
        {"options": "-c search_path"},
        {"options": "-B 100"},
        {"a b": "1"},
        {"search_path; DROP TABLE t": "1"},
        {"search_path": buffer.decode(b"\xff\xfe")},
    ],
)
def test_injection_and_what_is_no_setting(parameters: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        wishes({"user": "ann", **parameters})


def test_equal_wishes_are_not_shared() -> None:
    given = {"user": "ann", "DateStyle": "iso"}
    wishes(given)["DateStyle"] = "german"
    assert {"DateStyle": "iso"} == wishes(given)


def test_what_is_refused_once_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(ProtocolError, match="not UTF-8"):
            wishes({"user": "ann", "DateStyle": buffer.decode(b"\xff")})
