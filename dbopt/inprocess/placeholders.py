"""psycopg's placeholders as PostgreSQL's parameters, so that one statement has one fingerprint.

Source: https://www.psycopg.org/psycopg3/docs/basic/params.html
"""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(r"%(?:\(([^)]+)\)[sbt]|[sbt%])")


def numbered(text: str) -> str:
    """The text with `$1`, `$2` … for `%s` and `%(name)s`, and `%` for `%%`.

    A name that comes again has the number that it had. What is no placeholder stays.
    """
    if "%" not in text:
        return text
    names: dict[str, int] = {}
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        name = match[1]
        if match[0] == "%%":
            return "%"
        if name in names:
            return f"${names[name]}"
        count += 1
        if name:
            names[name] = count
        return f"${count}"

    return _PLACEHOLDER.sub(number, text)
