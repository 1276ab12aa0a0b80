"""PostgreSQL's md5 password method: what is stored, and the answer to a salt.

MD5 is broken and PostgreSQL 18 deprecates the method; it is here for servers and user lists
that still have it. Source: https://www.postgresql.org/docs/current/protocol-flow.html, under
AuthenticationMD5Password.
"""

from __future__ import annotations

import hmac
import re
from hashlib import md5
from typing import Final

from dbopt.wire import buffer

_STORED: Final = re.compile(r"md5[0-9a-f]{32}")


def is_md5(secret: str) -> bool:
    """Whether this is a stored md5 secret: "md5" and 32 lower-case hexadecimal digits."""
    return _STORED.fullmatch(secret) is not None


def md5_secret(user: str, password: str) -> str:
    """What is stored for this user and password: "md5" and md5(password + user)."""
    return _digest(buffer.encode(password) + buffer.encode(user))


def md5_response(secret: str, salt: bytes) -> bytes:
    """The client's answer to `salt`, from what is stored (see `md5_secret`)."""
    return _digest(buffer.encode(secret.removeprefix("md5")) + salt).encode("ascii")


def md5_matches(secret: str, salt: bytes, response: bytes) -> bool:
    """Whether a client's answer is the right one; takes the same time either way."""
    return hmac.compare_digest(md5_response(secret, salt), response)


def _digest(data: bytes) -> str:
    return "md5" + md5(data, usedforsecurity=False).hexdigest()
