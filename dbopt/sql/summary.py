"""What a statement does in a few words, of which there are few: "SELECT songs artists". PURE.

Source: OpenTelemetry, Semantic Conventions 1.44, Database spans: db.query.summary is made of
operations and their targets, holds no literal, and is at most 255 characters, cut between two
words.
"""

from __future__ import annotations

from dbopt.sql.kinds import first_kind
from dbopt.sql.lexer import BLANKS, Lexeme, Token, tokens, unquote
from dbopt.sql.query import Kind, Query, Relation

LONGEST = 255
"""Characters of a summary."""
UNKNOWN = "postgresql"
"""The summary of what is no statement that PostgreSQL knows."""

_READS = frozenset({Kind.READ})
_WRITES = {
    Kind.INSERT: "INSERT",
    Kind.UPDATE: "UPDATE",
    Kind.DELETE: "DELETE",
    Kind.MERGE: "MERGE",
}
_TWO_WORDS = frozenset({"CREATE", "ALTER", "DROP"})
_OBJECTS = (
    "TABLE INDEX VIEW MATERIALIZED SEQUENCE SCHEMA FUNCTION PROCEDURE TRIGGER TYPE DOMAIN "
    "EXTENSION ROLE USER DATABASE POLICY RULE AGGREGATE PUBLICATION SUBSCRIPTION SERVER "
    "FOREIGN STATISTICS TABLESPACE COLLATION CAST OPERATOR LANGUAGE EVENT"
)
_KINDS_OF_OBJECT = frozenset(_OBJECTS.split())


def operation(query: Query) -> str:
    """The statement's verb, such as SELECT; of several statements the strongest one's.

    "" for what PostgreSQL has no command for.
    """
    if query.kind in _WRITES:
        return _WRITES[query.kind]
    if query.kind in _READS:
        return "SELECT"
    words = _first_words(query)
    if first_kind(tuple(word.lower() for word in words)) is None:
        return ""
    return words[0]


def summary(query: Query) -> str:
    """The operation and the relations that it is about, in the order of the text.

    "INSERT songs SELECT albums" of an INSERT that reads. Names are the schema's, and few;
    what a user may make up, such as the name of a temporary object that a session alone has, is
    no more than they are. Never raises.
    """
    verb = operation(query)
    if not verb:
        return UNKNOWN
    words = [verb]
    if verb in _TWO_WORDS:
        words += [word for word in _first_words(query)[1:] if word in _KINDS_OF_OBJECT][:1]
    order = _places(query)
    if query.writes:
        words += _names(query.writes, order)
        reads = tuple(read for read in query.reads if read not in query.writes)
        if reads:
            words += [*(["SELECT"] if query.kind is Kind.INSERT else []), *_names(reads, order)]
    else:
        words += _names(query.reads, order)
    return _cut(words)


def collection(query: Query) -> str:
    """db.collection.name: the one relation that a statement is about; "" if there are more."""
    relations = {*query.reads, *query.writes}
    return str(*relations) if len(relations) == 1 else ""


def placeholders(text: str) -> str:
    """A redacted text with `?` in place of each `$n`, as db.query.text has it."""
    return "".join("?" if token.lexeme is Lexeme.PARAM else token.text for token in tokens(text))


def _first_words(query: Query) -> list[str]:
    found: list[str] = []
    for token in tokens(query.text[:1000]):
        if token.lexeme in BLANKS:
            continue
        if token.lexeme is not Lexeme.WORD or len(found) == 3:
            break
        found.append(token.text.upper())
    return found


def _places(query: Query) -> dict[str, int]:
    """Where each name stands first."""
    found: dict[str, int] = {}
    for place, token in enumerate(tokens(query.text)):
        name = _name(token)
        if name:
            found.setdefault(name, place)
    return found


def _name(token: Token) -> str:
    if token.lexeme is Lexeme.WORD:
        return token.text.lower()
    return unquote(token.text) if token.lexeme is Lexeme.NAME else ""


def _names(relations: tuple[Relation, ...], order: dict[str, int]) -> list[str]:
    last = len(order)
    ordered = sorted(relations, key=lambda one: (order.get(one.name, last), one))
    return [_word(str(one)) for one in ordered]


def _word(name: str) -> str:
    """A name as one word of a summary."""
    return f'"{name}"' if any(char.isspace() for char in name) else name


def _cut(words: list[str]) -> str:
    text = words[0]
    for word in words[1:]:
        if len(text) + 1 + len(word) > LONGEST:
            break
        text += f" {word}"
    return text[:LONGEST]
