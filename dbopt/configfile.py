"""Loads Settings from config.toml, the environment and the command line, in that order."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dbopt.errors import ConfigError
from dbopt.settings import SECTIONS, TABLE, Setting, Settings

FILE_NAME = "config.toml"
MASK = "********"
MAX_BYTES = 1 << 20
"""A longer file is no configuration, but a log or a device that was named by mistake."""
_MAX_SHOWN = 80
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_ENV_NAME = re.compile(r"DBOPT_([A-Z0-9]+)__([A-Z0-9_]+)\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """A value and where it was found (`config.toml:12`, `environment DBOPT_…`, `--set`)."""

    value: Any
    where: str


def load(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Settings:
    """Settings from the file (if any), then `DBOPT_SECTION__KEY`, then `section.key=value`.

    Raises ConfigError that names the place, the key, what was found and what is allowed.
    """
    found = sources(path, env or {}, overrides)
    values = {key: _checked(TABLE[key], item) for key, item in found.items()}
    settings = _assemble(values)
    _check_together(settings, found)
    return settings


def sources(
    path: Path | None, env: Mapping[str, str], overrides: Iterable[str]
) -> dict[str, Found]:
    """What each source gives, the strongest last, by dotted key; unknown keys are refused."""
    found: dict[str, Found] = {}
    if path is not None:
        found.update(_from_file(path))
    found.update(_from_env(env))
    found.update(_from_overrides(overrides))
    return found


def _from_file(path: Path) -> dict[str, Found]:
    text = _read(path)
    found: dict[str, Found] = {}
    for section, values in _parse(path, text).items():
        where = f"{path}:{line_of(text, section)}"
        if section not in SECTIONS:
            raise _unknown(section, where, SECTIONS, "section")
        if not isinstance(values, dict):
            raise ConfigError(
                f"{where}: {section}: is a section, and no setting.", hint=f"Write [{section}]."
            )
        for name, value in values.items():
            key = f"{section}.{name}"
            place = f"{path}:{line_of(text, section, name)}"
            if key not in TABLE:
                raise _unknown(key, place, TABLE, "key")
            found[key] = Found(value, place)
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}.",
            hint="Give another file with --config, or make one with `dbopt init DIR`.",
        ) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: is longer than {MAX_BYTES} bytes: no configuration is.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text (byte {error.start}).") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = _TOML_PLACE.fullmatch(str(error))
        reason = said[1] if said else str(error)
        line = (said and said[2]) or len(text.splitlines()) or 1
        raise ConfigError(f"{path}:{line}: is not valid TOML: {reason}.") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, or brackets thousands deep: tomllib has no limits.
        raise ConfigError(f"{path}: holds a value that no setting takes.") from None


def line_of(text: str, section: str, name: str | None = None) -> int:
    """The line of a section's header, or of a key in it; 1 where neither is written so."""
    table, key = _quotable(section), _quotable(name) if name else None
    header = re.compile(rf"\s*\[{{1,2}}\s*{table}\s*[\].]")
    inline = re.compile(rf"\s*{table}\s*=")
    inside = re.compile(rf"\s*{key}\s*[=.]|\s*\[\s*{table}\s*\.\s*{key}\s*[\].]")
    dotted = re.compile(rf"\s*{table}\s*\.\s*{key or ''}" + (r"\s*[=.]" if key else ""))
    current, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        own = header.match(line) is not None
        if own or re.match(r"\s*\[", line):
            current = section if own else "another"
        at_top = not current and (dotted.match(line) or (key is None and inline.match(line)))
        if at_top or (key is None and own) or (key and current == section and inside.match(line)):
            return number
        if not first and (own or (not current and inline.match(line))):
            first = number
    return first or 1


def _quotable(name: str) -> str:
    """A pattern for a TOML key, bare or in quotes."""
    return rf"""(?:{re.escape(name)}|"{re.escape(name)}"|'{re.escape(name)}')"""


def _unknown(key: str, where: str, known: Iterable[str], what: str) -> ConfigError:
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"Did you mean {near[0]}?" if near else "`dbopt config docs` lists what there is."
    return ConfigError(f"{where}: {key}: there is no such {what}.", hint=hint)


def _from_env(env: Mapping[str, str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for variable, value in env.items():
        match = _ENV_NAME.match(variable)
        if match is None:
            continue
        key = f"{match[1]}.{match[2]}".lower()
        where = f"environment {variable}"
        if key not in TABLE:
            raise _unknown(key, where, TABLE, "key")
        found[key] = Found(_from_text(TABLE[key], value), where)
    return found


def _from_overrides(overrides: Iterable[str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for item in overrides:
        key, equals, value = item.partition("=")
        if not _KEY.fullmatch(key):
            # Not shown: it may be a connection string, whose key was forgotten.
            raise ConfigError("--set: found no key.", hint="Write --set section.key=value.")
        if not equals:
            raise ConfigError(f"--set {key}: has no value.", hint="Write --set section.key=value.")
        if key not in TABLE:
            raise _unknown(key, "--set", TABLE, "key")
        found[key] = Found(_from_text(TABLE[key], value), "--set")
    return found


def _from_text(setting: Setting, text: str) -> Any:
    """The value that a text stands for; the text itself where it does not fit the type."""
    if setting.type is bool:
        return {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}.get(
            text.strip().lower(), text
        )
    try:
        return setting.type(text)
    except ValueError:
        return text


def _checked(setting: Setting, found: Found) -> Any:
    value: Any = found.value
    if setting.type is float and type(value) is int:
        value = float(value)
    if not _is(value, setting.type):
        raise _refused(setting, found)
    if setting.choices and value not in setting.choices:
        raise _refused(setting, found)
    # Written so that a NaN, which compares with nothing, is refused too.
    if setting.low is not None and not value >= setting.low:
        raise _refused(setting, found)
    if setting.high is not None and not value <= setting.high:
        raise _refused(setting, found)
    if setting.type is float and value == float("inf"):
        raise _refused(setting, found)
    return value


def _is(value: Any, kind: type) -> bool:
    """Whether value is of just this type: a bool is no int here."""
    return type(value) is kind


def _refused(setting: Setting, found: Found) -> ConfigError:
    shown = MASK if setting.secret else json.dumps(found.value, default=str)
    if len(shown) > _MAX_SHOWN:
        shown = f"{shown[:_MAX_SHOWN]}…"
    return ConfigError(
        f"{found.where}: {setting.key}: found {shown}; allowed is {setting.allowed}.",
        hint=f"The default is {json.dumps(setting.default)}.",
    )


def _assemble(values: Mapping[str, Any]) -> Settings:
    sections = {}
    for section, cls in SECTIONS.items():
        own = {
            key.split(".", 1)[1]: v for key, v in values.items() if TABLE[key].section == section
        }
        sections[section] = cls(**own)
    return Settings(**sections)


def _check_together(settings: Settings, found: Mapping[str, Found]) -> None:
    """Refuse values that are each allowed and cannot be true together."""

    def refuse(key: str, message: str, hint: str) -> None:
        where = found[key].where if key in found else "default"
        raise ConfigError(f"{where}: {key}: {message}", hint=hint)

    pool, gateway = settings.pool, settings.gateway
    if pool.min_size > pool.max_size:
        refuse(
            "pool.min_size",
            f"found {pool.min_size}; allowed is at most pool.max_size, {pool.max_size}.",
            "Lower pool.min_size or raise pool.max_size.",
        )
    if gateway.auth_type != "trust" and not gateway.userlist:
        refuse(
            "gateway.auth_type",
            f'found "{gateway.auth_type}" without gateway.userlist.',
            "Set gateway.userlist to a file of users.",
        )
    if gateway.auth_type == "trust" and not gateway.trust_remote and not is_loopback(gateway.host):
        refuse(
            "gateway.host",
            f'found "{gateway.host}", which is not loopback, with gateway.auth_type "trust".',
            'Set gateway.auth_type = "scram-sha-256", or gateway.trust_remote = true.',
        )
    if not gateway.host and not gateway.unix_socket_dir:
        refuse(
            "gateway.host",
            "is empty, and so is gateway.unix_socket_dir: nothing would listen.",
            "Set one of the two.",
        )
    if not gateway.host and not gateway.port:
        refuse(
            "gateway.port",
            "found 0; without TCP allowed is 1 to 65535: it names the unix socket.",
            "Give the port that clients will name.",
        )


def merged(old: Settings, new: Settings) -> tuple[Settings, list[str]]:
    """`old` with what may change while it runs taken from `new`; the keys that need a restart."""
    changed: dict[str, dict[str, Any]] = {}
    ignored: list[str] = []
    for setting in TABLE.values():
        before = getattr(getattr(old, setting.section), setting.name)
        after = getattr(getattr(new, setting.section), setting.name)
        if before != after and setting.reload:
            changed.setdefault(setting.section, {})[setting.name] = after
        elif before != after:
            ignored.append(setting.key)
    sections = {name: replace(getattr(old, name), **values) for name, values in changed.items()}
    return replace(old, **sections), ignored


def is_loopback(host: str) -> bool:
    """Whether a listen address can be reached from this machine alone."""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(setting: Setting, value: Any) -> Any:
    """The value as a person may see it: secrets masked."""
    return MASK if setting.secret and value else value


def sample() -> str:
    """The sample config.toml: every setting, commented out, with its default."""
    lines = [
        "# dbopt's configuration. Every line that is commented out shows the default.",
        "# Each can be set by the environment too: [gateway] port is DBOPT_GATEWAY__PORT.",
    ]
    for section, cls in SECTIONS.items():
        lines += ["", f"# {(cls.__doc__ or '').strip()}", f"[{section}]"]
        for setting in TABLE.values():
            if setting.section == section:
                lines += _sample_lines(setting)
    return "\n".join(lines) + "\n"


def _sample_lines(setting: Setting) -> list[str]:
    after = "; SIGHUP reloads it" if setting.reload else ""
    return [
        f"# {setting.doc}",
        f"#   {setting.allowed}{after}",
        f"# {setting.name} = {json.dumps(setting.default, ensure_ascii=False)}",
    ]
