"""The normaliser: one canonical text, and one 64-bit fingerprint, for all texts of a statement.

It runs for every new text in the gateway, so it reads tokens by one regular expression in C,
looks each one up in a bounded table, and touches single tokens in Python only where a literal,
or something that `fold` knows, is among them. The text of pg_stat_statements comes out the same
as the text that a client sent, so that a queryid maps to a fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from threading import Lock

from dbopt.sql import fold
from dbopt.sql.lexer import WHITESPACE, fold_case, texts
from dbopt.sql.redact import redact
from dbopt.sql.tags import tags

__all__ = [
    "FingerprintCache",
    "fingerprint",
    "fingerprint_hex",
    "fingerprint_int",
    "normalize",
    "redact",
    "tags",
]

_TABLE_SIZE = 8192
_LONGEST_KEPT = 64
_ESCAPE = re.compile(r"(?ia)uescape '[^']'").fullmatch
_HEX = re.compile(r"[0-9a-fA-F]{16}").fullmatch


class _Canonical(dict[str, str]):
    """Token → canonical token. Literals and comments are never kept: they are not ours to keep."""

    def __missing__(self, token: str) -> str:
        first = token[0]
        if first in "'0123456789":
            return fold.PLACEHOLDER
        if first in "-/" and token[1:2] in {"-", "*"}:
            return ""
        if is_literal(token):
            return fold.PLACEHOLDER
        return self._keep(token, token if '"' in token else fold_case(token))

    def _keep(self, token: str, canonical: str) -> str:
        if len(token) <= _LONGEST_KEPT:
            if len(self) >= _TABLE_SIZE:
                self.clear()
                self.update(_COMMON)
            self[token] = canonical
        return canonical


_canonical = _Canonical()
# Small numbers are looked up without a call: they are in most statements, and no secret.
_COMMON = {str(n): fold.PLACEHOLDER for n in range(1000)} | {
    f"${n}": fold.PLACEHOLDER for n in range(1, 100)
}
_COMMON["!="] = "<>"
_canonical.update(_COMMON)


def is_literal(token: str) -> bool:
    """Whether a token is a constant or a parameter, told by its first characters alone."""
    first, second = token[0], token[1:2]
    if second == "$" and first in "nN" and token[2:].isdigit():
        return True  # pg_stat_statements leaves the N of N'...' beside its $1
    if first == '"' or token[1:3] == '&"':
        # An unterminated name holds the rest of the text, literals among it.
        return token.count('"') % 2 == 1
    if first in "'0123456789" or second == "'" or token[1:3] == "&'":
        return True
    return (first == "$" and second != "") or (first == "." and second.isdigit())


def normalize(text: str, *, conforming: bool | None = None) -> str:
    """The canonical text: one space between tokens, `?` for each constant, no comments.

    It is for comparing and hashing, not for reading (`redact` is). Unquoted identifiers are
    folded to lower case, lists of constants and equal VALUES rows to one, a final `;` dropped.
    Normalising twice changes nothing. Never raises; linear in the length of the text.

    `conforming` is the server's standard_conforming_strings. None, where it is not known, takes
    the one reading that the server would run; if it would run both, the canonical text holds
    both, so that neither passes for the other, nor for anything else.
    """
    if conforming is None and "\\'" in text:
        return _either(text.rstrip(WHITESPACE))
    text = text.rstrip(WHITESPACE)
    return _joined(text, texts(text, conforming=conforming is not False))


def _joined(text: str, found: list[str]) -> str:
    if '&"' in text:
        found = list(_with_escapes(found))
    canonical = list(map(_canonical.__getitem__, found))
    if "--" in text or "/*" in text:
        canonical = list(filter(None, canonical))
    while canonical and canonical[-1] == ";":
        canonical.pop()
    if not fold.needless(canonical):
        canonical = fold.fold(canonical)
    return " ".join(canonical)


def _with_escapes(found: list[str]) -> Iterator[str]:
    """The tokens, with `U&"..." uescape '!'` as one: another character makes another name."""
    at = 0
    while at < len(found):
        last = found[at]
        at += 1
        if last[1:3] == '&"' and _ESCAPE(" ".join(found[at : at + 2])):
            last = " ".join([last, "uescape", found[at + 1]])
            at += 2
        yield last


def _either(text: str) -> str:
    on, off = texts(f"{text}\n;"), texts(f"{text}\n;", conforming=None)
    strict, escaped = _joined(text, on), _joined(text, off)
    if strict == escaped or not _may_run(off):
        return strict
    return f"{strict} ; \\ ; {escaped}" if _may_run(on) else escaped


def _may_run(found: list[str]) -> bool:
    """Whether no literal runs on to the end, past the `;` put there, and no `\\` stands bare.

    Else the server refuses the whole text before it runs any of it.
    """
    return found[-1] == ";" and "\\" not in found


def fingerprint(text: str, *, conforming: bool | None = None) -> int:
    """The unsigned 64-bit fingerprint of a statement: BLAKE2b of its canonical text.

    `conforming` as in `normalize`.
    """
    canonical = normalize(text, conforming=conforming).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(canonical, digest_size=8).digest(), "big")


class FingerprintCache:
    """Fingerprints by text, for who meets the same texts again and again; for any thread.

    A hit is one dict look-up. It keeps at most `entries` texts, of at most `size` characters
    together, and none longer than `longest`; where a new one would not fit, all go at once: that
    costs one pass over what is in use and no bookkeeping for each hit. A text may hold secrets:
    it stays in memory, and nothing here shows it.
    """

    __slots__ = ("_entries", "_held", "_known", "_lock", "_longest", "_size", "conforming")

    def __init__(
        self,
        entries: int = 20_000,
        size: int = 8 << 20,
        longest: int = 4096,
        *,
        conforming: bool | None = None,
    ) -> None:
        self._known: dict[str, int] = {}
        self._lock = Lock()
        self._entries, self._size, self._longest = entries, size, longest
        self._held = 0
        self.conforming = conforming

    def __call__(self, text: str) -> int:
        """The fingerprint of a text, as `fingerprint` gives it."""
        found = self._known.get(text)
        return self._new(text) if found is None else found

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known, self._held = {}, 0

    def _new(self, text: str) -> int:
        made = fingerprint(text, conforming=self.conforming)
        if len(text) > min(self._longest, self._size):
            return made
        with self._lock:
            if text in self._known:
                return made
            if len(self._known) >= self._entries or self._held + len(text) > self._size:
                # A new dict: another thread may be looking into this one.
                self._known, self._held = {}, 0
            self._known[text] = made
            self._held += len(text)
        return made


def fingerprint_hex(value: int) -> str:
    """A fingerprint as its 16 hexadecimal digits."""
    return f"{value:016x}"


def fingerprint_int(digits: str) -> int:
    """The fingerprint of 16 hexadecimal digits. Raises ValueError for anything else."""
    if _HEX(digits) is None:
        raise ValueError("A fingerprint is 16 hexadecimal digits.")
    return int(digits, 16)
