from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.session import change, parse_options, requested, tracked
from dbopt.wire import encode


def test_what_a_startup_packet_asks_for() -> None:
    parameters = {
        "user": "ann", "database": "shop", "replication": "false", "_pq_.new": "1",
        "timezone": "UTC", "APPLICATION_NAME": "me", "options": "-c DateStyle=ISO -c work_mem=1MB",
    }  # fmt: skip
    expected = {"DateStyle": "ISO", "work_mem": "1MB", "TimeZone": "UTC", "application_name": "me"}
    assert expected == requested(parameters)


def test_a_parameter_counts_more_than_an_option() -> None:
    assert {"TimeZone": "b"} == requested({"options": "-c TimeZone=a", "timezone": "b"})


@pytest.mark.parametrize("name", ["a b", "a;b", "1a", "", "a.b.c", "a'b", 'a"b', "a\nb", "a="])
def test_a_name_that_no_setting_has(name: str) -> None:
    with pytest.raises(ProtocolError):
        requested({name: "1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("-c a=1 -cb=2 --c=3", {"a": "1", "b": "2", "c": "3"}),
        ("  -c   a=  ", {"a": ""}),
        (r"-c a=x\ y\\z", {"a": r"x y\z"}),
        ("-c a=b=c", {"a": "b=c"}),
        ("--work-mem=a-b-c", {"work_mem": "a-b-c"}),
        ("-c work-mem=a-b-c", {"work_mem": "a-b-c"}),
        ("-c a=1 -c a=2", {"a": "2"}),
    ],
)
def test_options(text: str, expected: dict[str, str]) -> None:
    assert expected == parse_options(text)


@pytest.mark.parametrize("text", ["-c", "-c a", "-B 5", "a=1", "--"])
def test_options_that_are_none(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_options(text)


def test_nothing_to_change() -> None:
    assert b"" == change({"TimeZone": "UTC"}, {"TimeZone": "UTC"})


def test_only_what_differs_is_set() -> None:
    sql = b"SELECT pg_catalog.set_config(E'TimeZone',E'UTC',false)"
    current = {"TimeZone": "CET", "DateStyle": "ISO"}
    assert encode.query(sql) == change(current, {"TimeZone": "UTC", "DateStyle": "ISO"})


def test_what_the_next_client_did_not_ask_for_is_reset() -> None:
    sql = b'RESET "work_mem";RESET "select"."from"'
    assert encode.query(sql) == change({"work_mem": "1MB", "select.from": "x"}, {})


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("it's", rb"E'it''s'"),
        ("a\\", rb"E'a\\'"),
        ("\\'", rb"E'\\'''"),
        ("\n;--", b"E'\n;--'"),
        ("你", rb"E'\U00004f60'"),
        ("\udcff", rb"E'\xff'"),
    ],
)
def test_values_are_quoted_in_ascii(value: str, literal: bytes) -> None:
    expected = b"SELECT pg_catalog.set_config(E'search_path'," + literal + b",false)"
    assert encode.query(expected) == change({}, {"search_path": value})


def test_tracked() -> None:
    assert {"TimeZone": "UTC"} == tracked({"TimeZone": "UTC", "server_version": "18"})
