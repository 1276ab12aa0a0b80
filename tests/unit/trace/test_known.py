from __future__ import annotations

from dbopt.sql.analyze import Analyzer
from dbopt.trace.known import Book

DEEP = "SELECT 1 FROM a JOIN b USING (i) JOIN c USING (i) JOIN d USING (i)"


def test_a_text_is_kept_from_its_first_sight() -> None:
    book = Book(Analyzer())
    book.learn(7, "SELECT 1")
    book.learn(7, "")
    assert "SELECT 1" == book.known(7).text
    assert "read" == book.judged(7).kind


def test_what_was_never_seen_is_other() -> None:
    book = Book(Analyzer())
    book.learn(8, "")
    assert 0 == len(book)
    assert ("", "other", None) == (
        book.judged(8).text, book.judged(8).kind, book.judged(8).complexity,
    )  # fmt: skip


def test_the_longest_unseen_texts_go_when_memory_is_full() -> None:
    book = Book(Analyzer(), most=3 * 1200)
    for number in (1, 2, 3):
        book.learn(number, "x" * 1000)
    book.learn(1, "")
    book.learn(4, "x" * 1000)
    assert [True, False, True, True] == [bool(book.known(n).text) for n in (1, 2, 3, 4)]


def test_one_text_beyond_the_bound_is_still_kept() -> None:
    book = Book(Analyzer(), most=10)
    book.learn(1, "SELECT 1")
    assert "SELECT 1" == book.known(1).text


def test_a_new_limit_judges_anew() -> None:
    book = Book(Analyzer(limit=100))
    book.learn(0, "(other)")
    book.learn(1, DEEP)
    before = book.judged(1).complexity
    book.judge_with(Analyzer(limit=1))
    after = book.judged(1).complexity
    assert before is not None
    assert after is not None
    assert (before.score, "extreme") == (after.score, after.grade)
    assert "other" == book.judged(0).kind


def test_what_cannot_be_parsed_is_counted_once() -> None:
    book = Book(Analyzer())
    for number, text in ((1, "SELECT 1"), (2, "SELECT FROM FROM WHERE (")):
        book.learn(number, text)
        book.judged(number)
        book.judged(number)
    assert 1 == book.unparsed
