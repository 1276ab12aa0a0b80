"""What statements that changed indexes have done, read from their text. PURE.

A journal is data: whoever can write to the store must not get dbopt to run SQL. So its statements
are read, by the forms that dbopt itself writes and no others, and what undoes them is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dbopt.errors import DeclarationError
from dbopt.sql.indexdef import IndexDefinition, parse_index
from dbopt.sql.lexer import Lexeme, Token, code, unquote
from dbopt.sql.split import statements

Name = tuple[str, str]
"""Schema and index."""

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_AROUND = frozenset({"begin", "commit"})


@dataclass(frozen=True, slots=True)
class Created:
    """CREATE INDEX was run."""

    definition: IndexDefinition

    @property
    def name(self) -> Name:
        """The name that it got."""
        return self.definition.schema, self.definition.name


@dataclass(frozen=True, slots=True)
class Dropped:
    """DROP INDEX was run."""

    name: Name


@dataclass(frozen=True, slots=True)
class Renamed:
    """ALTER INDEX … RENAME TO was run."""

    name: Name
    to: Name


Read = Created | Dropped | Renamed


def read_changes(sql: str) -> list[Read]:
    """What the statements do to names: those of the three forms; all others do nothing to them.

    Raises DeclarationError where one begins as such a form and is not read as one, or is of more
    than one statement in spite of its look.
    """
    found: list[Read] = []
    for one in statements(sql):
        tokens = [token for token in code(one.sql) if token.text != ";"]
        words = [token.text.lower() for token in tokens]
        if words[:1] == ["create"]:
            found.append(Created(read_definition(one.sql)))
        elif words[:2] == ["drop", "index"]:
            found.append(_dropped(tokens, words))
        elif words[:2] == ["alter", "index"] and "rename" in words:
            found.append(_renamed(tokens, words))
    return found


def attached(sql: str) -> Name | None:
    """The partition's index that ALTER INDEX … ATTACH PARTITION makes a part of another one.

    None for any other statement. There is no way back from it but to drop the whole.
    """
    tokens = [token for token in code(sql) if token.text != ";"]
    words = [token.text.lower() for token in tokens]
    if words[:2] != ["alter", "index"] or "attach" not in words:
        return None
    at = words.index("attach")
    return _name(tokens, at + 2)[0] if words[at + 1 : at + 2] == ["partition"] else None


def read_definition(sql: str) -> IndexDefinition:
    """The definition that one CREATE INDEX statement gives; DeclarationError for anything else.

    Stricter than `parse_index`, which takes what follows WHERE as it stands: what is written from
    the definition says the same again, in one statement.
    """
    _require_one(sql)
    definition = parse_index(sql)
    written = definition.create_sql(concurrently=False)
    _require_one(written)
    if parse_index(written) != definition:
        raise DeclarationError("It is not of the form that dbopt writes.", hint="It is left out.")
    return definition


def _require_one(sql: str) -> None:
    """Raise DeclarationError where more than one statement may hide in it."""
    tokens = code(sql)
    if any(token.text == ";" for token in tokens[:-1]) or "\0" in sql:
        raise DeclarationError("This is more than one statement.", hint="Nothing of it was run.")
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            break
    if depth:
        raise DeclarationError("Its parentheses do not match.", hint="Nothing of it was run.")


def _dropped(tokens: list[Token], words: list[str]) -> Dropped:
    at = 2
    at += words[at : at + 1] == ["concurrently"]
    at += 2 * (words[at : at + 2] == ["if", "exists"])
    name, at = _name(tokens, at)
    if at != len(tokens):
        raise _unread("DROP INDEX")
    return Dropped(name)


def _renamed(tokens: list[Token], words: list[str]) -> Renamed:
    at = 2 + 2 * (words[2:4] == ["if", "exists"])
    name, at = _name(tokens, at)
    if words[at : at + 2] != ["rename", "to"] or at + 3 != len(tokens):
        raise _unread("ALTER INDEX")
    (_, to), _ = _name(tokens, at + 2)
    return Renamed(name, (name[0], to))


def _name(tokens: list[Token], at: int) -> tuple[Name, int]:
    """A name, with its schema or without, and where it ends."""
    found = [token.lexeme in _NAMES for token in tokens[at : at + 3]]
    if not found or not found[0]:
        raise _unread("The statement")
    first = unquote(tokens[at].text)
    if len(found) == 3 and found[2] and tokens[at + 1].text == ".":
        return (first, unquote(tokens[at + 2].text)), at + 3
    return ("", first), at + 1


def _unread(what: str) -> DeclarationError:
    return DeclarationError(f"{what} is not of the form that dbopt writes.", hint="It is left out.")


@dataclass(frozen=True, slots=True)
class Noted:
    """A statement of the journal: what it did, and the index that it was about.

    `number` orders them. `definition` is the index's, under the name before a rename; None where
    it cannot be read. `undoable`: its reverse is known; without one it took away an invalid index.
    """

    number: int
    read: Read
    definition: IndexDefinition | None
    undoable: bool = True


@dataclass(slots=True)
class Net:
    """What became of one index over a whole run: `before` and `after` are None where it was not.

    `last` is the number of the last statement that it took. `lost`: its definition is not known,
    and this was its name; `name` is the one that it has been left with, None where it has gone.
    """

    before: IndexDefinition | None = None
    after: IndexDefinition | None = None
    last: int = 0
    lost: Name | None = None
    name: Name | None = None

    def known(self, definition: IndexDefinition) -> None:
        """What was lost is found: this is the definition, under the name that it has by now."""
        if self.lost is not None:
            self.before, self.after = _under(definition, self.lost), definition
        self.lost = None


def net_effect(notes: Iterable[Noted]) -> list[Net]:
    """What statements come to in all, the last change first. What ended as it began is left out.

    An index that was built under a passing name, renamed, and whose forerunner was dropped, is two:
    one that has come, and one of the same name that has gone.
    """
    there: dict[Name, Net] = {}
    made: list[Net] = []
    for note in notes:
        net = there.pop(note.read.name, None)
        if net is None:
            if isinstance(note.read, Dropped) and not note.undoable:
                continue
            net = Net()
            made.append(net)
            if not isinstance(note.read, Created):
                net.before = net.after = note.definition
                net.lost = None if note.definition else note.read.name
        elif net.lost and note.definition:
            # Of two that change names in one transaction the journal knows one; its drop tells.
            net.known(note.definition)
        net.last = note.number
        _follow(net, note.read, there)
    kept = [net for net in made if net.before != net.after or net.lost]
    return sorted(kept, key=lambda net: -net.last)


def _follow(net: Net, read: Read, there: dict[Name, Net]) -> None:
    if isinstance(read, Created):
        net.after, net.name = read.definition, read.name
    elif isinstance(read, Dropped):
        net.after = net.name = None
    else:
        net.after, net.name = net.after and _under(net.after, read.to), read.to
    if net.name is not None:
        there[net.name] = net


def _under(definition: IndexDefinition, name: Name) -> IndexDefinition:
    return replace(definition, schema=name[0] or definition.schema, name=name[1])
