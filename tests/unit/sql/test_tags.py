from __future__ import annotations

import pytest

from dbopt.sql.tags import tags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", {}),
        ("select 1 /* a comment */", {}),
        (
            "select 1 /*route='%2Fusers%2F1',controller='users'*/",
            {"route": "/users/1", "controller": "users"},
        ),
        ("select 1 /* a='1' , b='2' */ ; ", {"a": "1", "b": "2"}),
        ("select 1 /*a='it\\'s'*/", {"a": "it's"}),
        ("select 1 /*a='1'*/ where b", {}),
        ("/*a='1'*/ select 1", {}),
        ("/*a='1'*/ select 1 /*b='2'*/", {"b": "2"}),
        ("select 1 /*a=1*/", {}),
        ("select 1 /*a='%zz'*/", {"a": "%zz"}),
        ("*/", {}),
        ("/*/", {}),
        ("select 1 /*a='" + "x" * 5000 + "'*/", {}),
    ],
)
def test_tags(text: str, expected: dict[str, str]) -> None:
    assert expected == tags(text)


def test_at_most_32_are_kept() -> None:
    pairs = ",".join(f"k{n}='v'" for n in range(100))
    assert 32 == len(tags(f"select 1 /*{pairs}*/"))
