from __future__ import annotations

from datetime import date

import pytest

from dbopt.errors import DeclarationError
from dbopt.migrate.annotations import NOTHING, Annotations, Comment, read_annotations


def _read(*texts: str) -> Annotations:
    comments = [Comment(text, number, 3) for number, text in enumerate(texts, 1)]
    return read_annotations(comments, "t.sql")


def test_no_comments_say_nothing() -> None:
    assert _read() == NOTHING


def test_all_keys_with_and_without_quotes() -> None:
    found = _read(
        """ dbopt: owner=team-x  reason="signing in, it's so"	expires=2026-12-31 advice='ab 12'"""
    )

    assert found == Annotations(
        "team-x", "signing in, it's so", date(2026, 12, 31), "ab 12", comments=()
    )


def test_several_lines_together_and_other_comments_kept() -> None:
    found = _read(" users sign in", " dbopt: owner=a", " dbopt:advice = 7 ", " see wiki ")

    assert found == Annotations("a", "", None, "7", ("users sign in", "see wiki"))


def test_why_is_the_reason_unless_there_is_another() -> None:
    assert _read(" why: fast", " why: and so on").reason == "fast and so on"
    assert _read(" why: fast", " dbopt: reason=other").reason == "other"
    assert _read(" why: fast").comments == ("why: fast",)


@pytest.mark.parametrize("text", ["dbopt:ignore too-wide x=1", " dbopt: ignore all because"])
def test_what_the_linter_reads_is_no_annotation(text: str) -> None:
    assert _read(text) == Annotations(comments=(text.strip(),))


@pytest.mark.parametrize("text", ["dbopt owner=a", "see dbopt: owner=a", "Dbopt: owner=a"])
def test_what_does_not_begin_so_is_an_ordinary_comment(text: str) -> None:
    assert _read(text).comments == (text,)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (" dbopt: owner", "t.sql:1:11: expected key=value.", "Keys are owner, reason, expires"),
        (" dbopt: owner=", "t.sql:1:11: expected key=value.", "Keys are"),
        (" dbopt: owner=a b c", "t.sql:1:19: expected key=value.", "in quotes"),
        (' dbopt: reason="open', "t.sql:1:11: expected key=value.", "in quotes"),
        (' dbopt: reason="a"b', "t.sql:1:11: expected key=value.", "in quotes"),
        (" dbopt: a=1", 't.sql:1:11: there is no key "a".', "Keys are"),
        (" dbopt: Owner=x", 't.sql:1:11: there is no key "Owner".', "Did you mean owner?"),
        (" dbopt: expire=x", 't.sql:1:11: there is no key "expire".', "Did you mean expires?"),
        (" dbopt: ignore=x", 't.sql:1:11: there is no key "ignore".', "Keys are"),
        (" dbopt: owner=a\n  owner=b", "t.sql:2:3: owner is given twice.", "Leave one"),
        (" dbopt: expires=31.12.2026", "t.sql:1:11: expires is no date.", "expires=2026-12-31"),
        (" dbopt: expires=20261231", "t.sql:1:11: expires is no date.", "The year first"[4:]),
        (" dbopt: expires=2026-02-30", "t.sql:1:11: expires is no date.", "year first"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, message: str, hint: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        _read(text)

    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_key_twice_in_two_lines_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"t\.sql:2:10: owner is given twice"):
        _read("dbopt: owner=a", "dbopt: owner=a")


def test_the_last_day_is_still_wanted() -> None:
    found = _read("dbopt: expires=2026-12-31")

    assert not found.expired(date(2026, 12, 31))
    assert found.expired(date(2027, 1, 1))
    assert not NOTHING.expired(date(9999, 1, 1))
