"""Comments: what stands at the end of a text, and where a text may be told by the rest."""

from __future__ import annotations

import pytest

from dbopt.gateway.comments import (
    at_rest,
    hides_block,
    known_tags,
    raw_route,
    route_name,
    sampled,
    split,
)

TRACE = "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"select 1 /*a='b'*/", (b"select 1 ", b"a='b'")),
        (b"select 1/**/", (b"select 1", b"")),
        (b"select 1 /*a*/ ; \n;", (b"select 1 ", b"a")),
        (b"/*a*/", (b"", b"a")),
        (b"select 1 /*a*/ + 2 /*b*/", (b"select 1 /*a*/ + 2 ", b"b")),
        (b"select 1 /***/", (b"select 1 ", b"*")),
        (b"select 2 //*a*/", (b"select 2 /", b"a")),
        (b"select 1 /*/", None),
        (b"*/", None),
        (b"/", None),
        (b";", None),
        (b"", None),
        (b"select 1;", None),
        (b"select 1 /* a */ */", None),
        (b"select 1 */", None),
        (b"select 4 /", None),
        (b"select 1 /* a /* b */ */", None),
    ],
)
def test_split(text: bytes, parts: tuple[bytes, bytes] | None) -> None:
    assert parts == split(text)


@pytest.mark.parametrize(
    "base",
    [
        b"", b"select 1 ", b"select 'a' ", b"select 'it''s'", b'select "a""b", \'"\' ',
        b"select $1 ", b"select a$b ", b"select $$ a $$ ", b"select $x$ $$ $x$ ",
        b"select 1 -- a\n",
        b"select 1 -- a\r", b"select 1 /* a */ ", b"/*+ hint */ select 1 ", b"select '--' ",
        b"select '/*' ", b"select 4 -", b"select 4 /", b"select 4 *", b"select E'a' ",
        b"select U&\"a\" ", "select 'é' ".encode(), b"select a /* b /* c */ d */ ",
    ],
)  # fmt: skip
def test_what_is_complete_in_itself(base: bytes) -> None:
    assert at_rest(base)


@pytest.mark.parametrize(
    "base",
    [
        b"select '", b"select 'a", b"select 'a''", b"select '''", b'select "a', b"select 'a' \"",
        b"select \"'\" '", b"select $$ a", b"select $x$ a $$ ", b"select $x$ a $X$ ",
        b"select 1 --", b"select 1 -- a", b"select '--' -- ", b"select 1 /* a ", b"/* a /* b */ ",
        b"select E'\\'", b"select '\\' ", b"select \\", "select é".encode(), b"select \x83",
        b"select B'1", b"select U&'a", b"select n'a", b"select '/*", b"select '$$' '",
    ],
)  # fmt: skip
def test_what_goes_on_or_may(base: bytes) -> None:
    assert not at_rest(base)


@pytest.mark.parametrize(
    ("comment", "route"),
    [
        (b"route='/a'", "/a"),
        (b"action='x',route='%2Fb%20c'", "/b c"),
        (b" route='a' ", "a"),
        (b"route='a',route='b'", "b"),
        (b"myroute='a'", ""),
        (b"route='a", ""),
        (b"route=''", ""),
        (b"route='a\\'b'", ""),
        (b"route=a", ""),
        (b"", ""),
        (b"route='" + b"x" * 500 + b"'", "x" * 200),
        (b"route='\xff'", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_routes(comment: bytes, route: str) -> None:
    assert route == route_name(raw_route(comment))


def test_only_tags_that_name_code_or_a_trace_are_kept() -> None:
    text = f"select 1 /*route='a',card='4711',action='b',{TRACE}*/".encode()
    assert {"route": "a", "action": "b", "traceparent": TRACE[13:-1]} == known_tags(text)
    assert {} == known_tags(b"select 1")


@pytest.mark.parametrize(
    ("tag", "is_sampled"),
    [
        (TRACE, True),
        (TRACE[:-3] + "00'", False),
        (TRACE[:-3] + "03'", True),
        (TRACE[:-3] + "02'", False),
        (TRACE[:-1] + "-more'", False),
        (TRACE.upper(), False),
        ("traceparent='01'", False),
        ("a='traceparent'", False),
    ],
)
def test_sampled(tag: str, is_sampled: bool) -> None:
    assert is_sampled == sampled(f"select 1 /*{tag}*/".encode())
    assert not sampled(f"select '{tag}'".encode())


@pytest.mark.parametrize(
    ("text", "hides"),
    [
        (b"begin; select 1; commit", True),
        (b"select 1; commit", True),
        (b"/* x */ begin; select 1", True),
        (b"select 1; -- x\n begin", True),
        (b"commit and chain", True),
        (b"ROLLBACK AND CHAIN", True),
        (b"commit", False),
        (b"begin;", False),
        (b"end ; \n", False),
        (b"select 1; select 2", False),
        (b"select 'a; begin'", False),
        (b"select chain from shops", False),
        (b"select case when a then 1 end; select 2", False),
        (b"prepare transaction 'x'; begin", True),
    ],
)
def test_what_hides_the_begin_or_the_end_of_a_transaction(text: bytes, hides: bool) -> None:
    assert hides == hides_block(text)
