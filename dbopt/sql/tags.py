"""sqlcommenter: the tags that an application leaves in a comment at the end of a statement.

Source: https://google.github.io/sqlcommenter/spec/ (now part of OpenTelemetry).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_LONGEST_COMMENT = 4096
_MOST_TAGS = 32
_PAIR = r"\s*+([^\s=,'\"*/]{1,128}+)\s*+=\s*+'((?:[^'\\]|\\.)*)'\s*+"
_pairs = re.compile(_PAIR).finditer
_comment = re.compile(rf"{_PAIR}(?:,{_PAIR})*").fullmatch


def tags(text: str) -> dict[str, str]:
    """The tags of the last comment, URL-decoded; {} where there is none. Never raises.

    A comment longer than 4096 characters is not read, and at most 32 tags are kept: a
    statement's text is its client's, and a tag may become an attribute of a span.
    """
    text = text.rstrip(" \t\n\r\f\v;")
    if not text.endswith("*/"):
        return {}
    start = text.rfind("/*", max(0, len(text) - _LONGEST_COMMENT))
    body = text[start + 2 : -2] if start >= 0 else ""
    if _comment(body) is None:
        return {}
    pairs = [match.groups() for match in _pairs(body)][:_MOST_TAGS]
    return {_decode(key): _decode(value) for key, value in pairs}


def _decode(value: str) -> str:
    return unquote(value.replace("\\'", "'"), errors="replace")
