"""A place in the tokens of one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from dbopt.sql.ddl.elements import Expression, Name, Span
from dbopt.sql.lexer import Lexeme, Token, fold_case, unquote

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_QUOTED = frozenset({Lexeme.NAME, Lexeme.STRING})
_DEPTH = {"(": 1, "[": 1, ")": -1, "]": -1}


class Unreadable(Exception):
    """The statement is not of the form that was expected; the text says what was.

    It is caught in this package, and told as Unread.
    """


class Cursor:
    """The tokens from one index to another, read from the left."""

    def __init__(self, tokens: Sequence[Token], at: int = 0, end: int | None = None) -> None:
        self._tokens = tokens
        self._start = at
        self._at = at
        self._end = len(tokens) if end is None else end

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All of it, whatever was read, in lower case: "" for quoted names and strings."""
        return tuple(self._word(at) for at in range(self._start, self._end))

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= self._end

    @property
    def here(self) -> int:
        """The offset in the text where the next token starts, or the last one ended."""
        if not self.done:
            return self._tokens[self._at].start
        return self.last_end

    @property
    def last_end(self) -> int:
        """The offset in the text where the last token that was read ends."""
        if self._at == 0:
            return self._tokens[0].start if self._tokens else 0
        last = self._tokens[self._at - 1]
        return last.start + len(last.text)

    @property
    def whole(self) -> Span:
        """The place of all of it."""
        if self._start >= self._end:
            return Span(self.here, self.here)
        last = self._tokens[self._end - 1]
        return Span(self._tokens[self._start].start, last.start + len(last.text))

    def word(self, ahead: int = 0) -> str:
        """A keyword or a sign in lower case; "" for a quoted name, a string and nothing."""
        at = self._at + ahead
        return self._word(at) if at < self._end else ""

    def lexeme(self, ahead: int = 0) -> Lexeme | None:
        """What the next token is, None if there is none."""
        at = self._at + ahead
        return self._tokens[at].lexeme if at < self._end else None

    def next(self) -> Token:
        """The next token, which is read; raises Unreadable at the end."""
        if self.done:
            raise Unreadable("it ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def accept(self, *words: str) -> bool:
        """Reads these words if they come next."""
        if any(self.word(n) != word for n, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def accept_place(self, word: str) -> Span | None:
        """Reads this word if it comes next, and says where it stood."""
        start = self.here
        return Span(start, self.last_end) if self.accept(word) else None

    def any_of(self, *words: str) -> str:
        """Reads the next word if it is one of these, and says which; else ""."""
        word = self.word()
        if word not in words:
            return ""
        self._at += 1
        return word

    def expect(self, *words: str) -> None:
        """Reads these words, or raises Unreadable."""
        if not self.accept(*words):
            raise Unreadable(f"expected {' '.join(words).upper()}")

    def identifier(self) -> str:
        """A name without a schema; raises Unreadable."""
        if self.lexeme() not in _NAMES:
            raise Unreadable("expected a name")
        token = self.next()
        if token.text[:2] in {"u&", "U&"} and self.accept("uescape"):
            self.next()
        return unquote(token.text)

    def name(self) -> Name:
        """A name, maybe with its schema (and its database, which is passed over)."""
        start = self.here
        parts = [self.identifier()]
        while self.word() == "." and self.lexeme(1) in _NAMES:
            self._at += 1
            parts.append(self.identifier())
        schema = parts[-2] if len(parts) > 1 else ""
        return Name(schema, parts[-1], Span(start, self.last_end))

    def relation(self) -> Name:
        """The name of a table, maybe with ONLY before it, or * behind it; raises Unreadable."""
        bracketed = self.accept("only") and self.accept("(")
        name = self.name()
        if bracketed:
            self.expect(")")
        self.accept("*")
        return name

    def names(self) -> tuple[Name, ...]:
        """Names with commas between; see `relation`."""
        found = [self.relation()]
        while self.accept(","):
            found.append(self.relation())
        return tuple(found)

    def group(self) -> Cursor:
        """What stands in the parentheses that come next; raises Unreadable if none do."""
        if self.word() != "(":
            raise Unreadable("expected (")
        start = self._at
        self._skip_group()
        closed = self._at > start + 1 and self._word(self._at - 1) == ")"
        if not closed:
            raise Unreadable('a "(" is not closed')
        return Cursor(self._tokens, start + 1, self._at - 1)

    def skip_group(self) -> bool:
        """Passes over parentheses if they come next."""
        if self.word() != "(":
            return False
        self.group()
        return True

    def step(self) -> None:
        """Passes over one token, or over all that brackets or CASE ... END hold."""
        word = self.word()
        if word in {"(", "["}:
            self._skip_group()
        elif word == "case":
            self._skip_case()
        else:
            self._at += 1

    def items(self) -> list[Cursor]:
        """What is left, split at its outermost commas."""
        found: list[Cursor] = []
        start = self._at
        while not self.done:
            if self.word() == ",":
                found.append(Cursor(self._tokens, start, self._at))
                start = self._at + 1
            self.step()
        self._at = self._end
        found.append(Cursor(self._tokens, min(start, self._end), self._end))
        return [one for one in found if not one.done]

    def since(self, start: int) -> Expression:
        """What was read since an index that `mark` gave."""
        tokens = tuple(self._tokens[start : self._at])
        if not tokens:
            raise Unreadable("expected an expression")
        last = tokens[-1]
        return Expression(tokens, Span(tokens[0].start, last.start + len(last.text)))

    def mark(self) -> int:
        """Where the cursor stands, for `since`."""
        return self._at

    def rest(self) -> Expression:
        """All that is left, as an expression."""
        start = self._at
        self._at = self._end
        return self.since(start)

    def back(self, mark: int) -> Cursor:
        """The same tokens, from an index on that `mark` gave."""
        return Cursor(self._tokens, mark, self._end)

    def finds(self, *words: str) -> bool:
        """Whether these words stand in what is left, outside of brackets."""
        probe = Cursor(self._tokens, self._at, self._end)
        while not probe.done:
            if all(probe.word(n) == word for n, word in enumerate(words)):
                return True
            probe.step()
        return False

    def skip_to(self, *words: str) -> bool:
        """Passes over all before these words, outside of brackets; False at the end."""
        while not self.done:
            if all(self.word(n) == word for n, word in enumerate(words)):
                return True
            self.step()
        return False

    def _skip_group(self) -> None:
        depth = 0
        while not self.done:
            depth += _DEPTH.get(self.word(), 0)
            self._at += 1
            if depth == 0:
                return

    def _skip_case(self) -> None:
        depth = 0
        while not self.done:
            depth += {"case": 1, "end": -1}.get(self.word(), 0)
            self._at += 1
            if depth == 0:
                return

    def _word(self, at: int) -> str:
        token = self._tokens[at]
        return "" if token.lexeme in _QUOTED else fold_case(token.text)
