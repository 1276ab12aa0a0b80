"""PgBouncer's userlist file: who may log in, and with what.

A line is `"user" "secret"`, where the secret is a plain password, an md5 secret or a SCRAM
verifier, and a doubled quote stands for one. A line that starts with `;` is a comment. What
follows the secret is ignored, as PgBouncer does. Unlike there, a line holds one whole entry.

Source: https://www.pgbouncer.org/config.html#authentication-file-format
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from dbopt.errors import ConfigError, ProtocolError
from dbopt.gateway.scram import ScramKeys, ScramVerifier, make_verifier, mock_salt, parse_verifier
from dbopt.wire.md5 import is_md5

MAX_LINE: Final = 8192
"""Longer than PgBouncer's longest user (128 bytes) and password (2048), all quotes doubled."""

_ENTRY: Final = re.compile(r'"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"(?:\s.*)?')


class SecretKind(StrEnum):
    """How a secret is written."""

    PLAIN = "plain"
    MD5 = "md5"
    SCRAM = "scram"


@dataclass(frozen=True, slots=True)
class Secret:
    """What a user logs in with. Its repr hides the value.

    `keys` are there once a client has proved itself against a SCRAM verifier: they log in to
    a server that has the same verifier (same salt, same iterations).
    """

    kind: SecretKind
    value: str = field(repr=False)
    keys: ScramKeys | None = field(default=None, repr=False)

    def verifier(self, user: str, mock_key: bytes) -> ScramVerifier | None:
        """What ScramServer checks this user by; None if SCRAM cannot be had of the secret.

        Costs 1 ms for a plain password: ask once, when the file is loaded.
        """
        if self.kind is SecretKind.SCRAM:
            return parse_verifier(self.value)
        if self.kind is SecretKind.PLAIN and self.value:
            return make_verifier(self.value, salt=mock_salt(mock_key, user))
        return None


class Userlist(dict[str, Secret]):
    """Secrets by user, and what is worth a warning about the file that they came from."""

    def __init__(self, secrets: dict[str, Secret], warnings: Iterable[str] = ()) -> None:
        super().__init__(secrets)
        self.warnings = tuple(warnings)


def secret_of(text: str) -> Secret:
    """The secret that PostgreSQL would take `text` for.

    Raises ProtocolError, without the text, for a SCRAM verifier that is malformed.
    """
    if text.startswith("SCRAM-SHA-256$"):
        parse_verifier(text)
        return Secret(SecretKind.SCRAM, text)
    return Secret(SecretKind.MD5 if is_md5(text) else SecretKind.PLAIN, text)


def load(path: str | Path) -> Userlist:
    """The users of a file. Raises ConfigError that names file and line, never a secret."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            content = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the user list: {error.strerror}") from None
    users = parse(content, str(path))
    return Userlist(users, users.warnings + _mode_warnings(path, mode))


def parse(content: bytes, source: str = "userlist") -> Userlist:
    """The users of a file's content; `source` is its name in errors. Raises ConfigError."""
    secrets: dict[str, Secret] = {}
    warnings = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        where = f"{source}:{number}"
        entry = _parse_line(line, where)
        if entry is None:
            continue
        user, secret = entry
        if user in secrets:
            warnings.append(f'{where}: user "{user}" is named again; this entry counts')
        secrets[user] = secret
    return Userlist(secrets, warnings)


def _parse_line(line: bytes, where: str) -> tuple[str, Secret] | None:
    if len(line) > MAX_LINE:
        raise ConfigError(f"{where}: the line is longer than {MAX_LINE} bytes")
    text = _decode(line, where).strip()
    if not text or text.startswith(";"):
        return None
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{where}: not an entry of a user list",
            hint='Write "user" "secret" on one line, and a quote inside either doubled.',
        )
    user, value = (part.replace('""', '"') for part in match.groups())
    return _check_user(user, where), _read_secret(value, where)


def _check_user(user: str, where: str) -> str:
    if not user or "\0" in user:
        raise ConfigError(f"{where}: the user's name is empty or holds a zero byte")
    return user


def _read_secret(value: str, where: str) -> Secret:
    try:
        return secret_of(value)
    except ProtocolError as error:
        raise ConfigError(f"{where}: {error.message}") from None


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: the line is not UTF-8") from None


def _mode_warnings(path: Path, mode: int) -> tuple[str, ...]:
    if mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        return (f"{path}: others can read or write it (mode {mode:04o}); chmod 600 {path}",)
    return ()
