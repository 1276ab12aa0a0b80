"""The normaliser: one canonical text, and one 64-bit fingerprint, for all texts of a statement.

It runs for every new text in the gateway, so it reads tokens by one regular expression in C,
looks each one up in a bounded table, and touches single tokens in Python only where a literal,
or something that `fold` knows, is among them. The text of pg_stat_statements comes out the same
as the text that a client sent, so that a queryid maps to a fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

from dbopt.sql import fold
from dbopt.sql.lexer import WHITESPACE, flat_tokens, fold_case, is_flat, texts
from dbopt.sql.redact import redact
from dbopt.sql.tags import tags

__all__ = ["fingerprint", "fingerprint_hex", "fingerprint_int", "normalize", "redact", "tags"]

_TABLE_SIZE = 8192
_LONGEST_KEPT = 64
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


def normalize(text: str) -> str:
    """The canonical text: one space between tokens, `?` for each constant, no comments.

    It is for comparing and hashing, not for reading (`redact` is). Unquoted identifiers are
    folded to lower case, lists of constants and equal VALUES rows to one, a final `;` dropped.
    Normalising twice changes nothing. Never raises; linear in the length of the text.
    """
    text = text.rstrip(WHITESPACE)
    flat = is_flat(text)
    found: Iterable[str] = flat_tokens(text) if flat else texts(text)
    canonical = list(map(_canonical.__getitem__, found))
    if "--" in text or "/*" in text:
        canonical = list(filter(None, canonical))
    while canonical and canonical[-1] == ";":
        canonical.pop()
    if not fold.needless(canonical):
        canonical = fold.fold(canonical)
    return " ".join(canonical)


def fingerprint(text: str) -> int:
    """The unsigned 64-bit fingerprint of a statement: BLAKE2b of its canonical text."""
    digest = blake2b(normalize(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def fingerprint_hex(value: int) -> str:
    """A fingerprint as its 16 hexadecimal digits."""
    return f"{value:016x}"


def fingerprint_int(digits: str) -> int:
    """The fingerprint of 16 hexadecimal digits. Raises ValueError for anything else."""
    if _HEX(digits) is None:
        raise ValueError("A fingerprint is 16 hexadecimal digits.")
    return int(digits, 16)
