"""What holds of any text at all, and of any constant in a statement."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.sql.analyze import analyze
from dbopt.sql.fingerprint import fingerprint, normalize
from dbopt.sql.lexer import Lexeme, code, flat_tokens, is_flat, texts, tokens
from dbopt.sql.parse import split
from dbopt.sql.redact import redact
from dbopt.sql.split import statements
from dbopt.sql.tags import tags
from tests.support import examples

WORDS = (
    "' '' \" \"\" $$ $a$ $1 $ E' e'\\ U&' U&\" n' \\ -- /* */ /* ; , . .. : :: := ( ) [ ] + - * / <"
    " > = ? ?| @> <-> ! ~ & a A _ é $b 0 1 1_0 0x1f 1e5 .5 null true false is not in values array"
    " limit all extract from select insert into update delete begin atomic case end explain copy as"
)
BLANKS = (
    "escape '\\'",
    "'\\'",
    "uescape '!'",
    "cast(1 as int)",
    "array[[1,2],",
    " ",
    "\n",
    "\t",
    "\r\n",
    "\x00",
    "\udcff",
    "'x'",
    "in (1,2)",
    "values (1),(2)",
)
PIECES = st.sampled_from([*WORDS.split(" "), *BLANKS])
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join)
SPACED = st.lists(PIECES, max_size=40).map(" ".join)
ANY = TEXTS | SPACED | st.text()

LITERALS = st.one_of(
    st.integers(0, 10**9).map(str),
    st.decimals(0, 1000, places=3).map(str),
    st.text(st.characters(exclude_characters="'\\\x00", exclude_categories=["Cs"])).map(
        lambda text: f"'{text}'"
    ),
    st.text("abc'\\n", max_size=9).map(
        lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    ),
    st.text("abc' \n", max_size=9).map(lambda text: f"$q${text}$q$"),
    st.integers(1, 99).map(lambda n: f"${n}"),
)


@given(ANY)
@example("is - null")
@example("limit all")
@settings(max_examples=examples(500))
def test_normalising_is_idempotent(text: str) -> None:
    assert normalize(text) == normalize(normalize(text))


@given(ANY)
@settings(max_examples=examples(500))
def test_the_tokens_join_to_the_text(text: str) -> None:
    assert text == "".join(token.text for token in tokens(text))


@given(ANY)
@settings(max_examples=examples(500))
def test_both_lexers_find_the_same_tokens(text: str) -> None:
    text = text.rstrip(" \t\n\r\f\v")
    for mode in (True, False):
        read = tokens(text, conforming=mode)
        every = [token.text for token in read if token.lexeme is not Lexeme.SPACE]
        assert every == texts(text, conforming=mode)
    if is_flat(text):
        assert texts(text) == flat_tokens(text)


@given(ANY, st.booleans())
@example("\x80in (1,2)", True)
@example("\"escape'\\'\"", False)
@settings(max_examples=examples(300))
def test_redacting_keeps_the_fingerprint(text: str, conforming: bool) -> None:
    shown = redact(text, conforming=conforming)
    assert normalize(text, conforming=conforming) == normalize(shown)
    if "\\'" not in text:
        assert redact(text, conforming=conforming) == redact(text)


@given(ANY)
@settings(max_examples=examples(300))
def test_without_backslashes_there_is_one_reading(text: str) -> None:
    text = text.replace("\\", "")
    assert {normalize(text)} == {normalize(text, conforming=mode) for mode in (True, False)}
    assert {redact(text)} == {redact(text, conforming=mode) for mode in (True, False)}


@given(ANY)
@example("'\\' a ''")
@settings(max_examples=examples(300))
def test_an_unknown_reading_shows_no_more_than_either(text: str) -> None:
    r"""What it shows of the code, each reading shows too, at the same places.

    But for `escape '\'`, which it takes for whole: no server runs the other reading.
    """
    shown = redact(text).removesuffix(" /* hidden: ambiguous quotes */")
    if shown != redact(text):
        for mode in (True,) if "escape" in text.lower() else (True, False):
            assert words(shown) == words(redact(text, conforming=mode))[: len(words(shown))]


def words(text: str) -> list[str]:
    return [token.text for token in code(text) if token.lexeme is not Lexeme.PARAM]


@given(ANY)
@settings(max_examples=examples(200), deadline=None)
def test_nothing_raises(text: str) -> None:
    analyze(text)
    tags(text)
    tags(text + "*/")
    statements(text)
    split(text)


@given(LITERALS, LITERALS)
def test_constants_do_not_matter(one: str, other: str) -> None:
    template = "select a, {0} from t where b = {0} and c in ({0}, {0}) or d > - {0} limit 5"
    assert fingerprint(template.format(one)) == fingerprint(template.format(other))


@given(st.lists(LITERALS, min_size=1), st.lists(LITERALS, min_size=1))
def test_the_length_of_a_list_does_not_matter(one: list[str], other: list[str]) -> None:
    template = "select a from t where b in ({})"
    assert fingerprint(template.format(", ".join(one))) == fingerprint(
        template.format(" ,\n".join(other))
    )


@given(st.sampled_from(["'{}'", "E'{}'", "$q${}$q$", "N'{}'", "'it''s {}'", "'{}", "$${}", '"{}']))
def test_redacting_leaks_no_literal(quoting: str) -> None:
    secret = "hunter2"
    shown = redact(f"select a from t where b = {quoting.format(secret)}")
    assert secret not in shown


@given(st.sampled_from(" \n\t"), st.booleans())
def test_layout_and_case_do_not_matter(blank: str, upper: bool) -> None:
    words = ["select", "a", ",", "b", "from", "t", "where", "a", "=", "'X'", "-- c\n", ";"]
    text = blank.join(word if word == "'X'" or not upper else word.upper() for word in words)
    assert fingerprint("select a,b from t where a='X'") == fingerprint(text)
