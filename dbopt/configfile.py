"""Loads Settings from config.toml, the environment and the command line, in that order."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dbopt.configcheck import check_together
from dbopt.errors import ConfigError
from dbopt.settings import NAMED, NAMED_TABLE, SECTIONS, TABLE, Setting, Settings, setting_of
from dbopt.tomlplaces import Places

FILE_NAME = "config.toml"
MASK = "********"
MAX_BYTES = 1 << 20
"""A longer file is no configuration, but a log or a device that was named by mistake."""
_MAX_SHOWN = 80
_KEY = re.compile(rf"[A-Za-z0-9_.-]{{1,80}}|(?:{'|'.join(NAMED)})\..{{1,200}}")
_PRESENT = ""
"""The name that stands in the keys found for a section of many without any key of its own."""
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
    settings = _assemble(found)
    check_together(settings, lambda key: found[key].where if key in found else "default")
    return settings


def sources(
    path: Path | None, env: Mapping[str, str], overrides: Iterable[str]
) -> dict[str, Found]:
    """What each source gives, the strongest last, by dotted key; unknown keys are refused.

    A section such as `[databases.app]` that is empty is there as "databases.app.".
    """
    found: dict[str, Found] = {}
    if path is not None:
        found.update(_from_file(path))
    found.update(_from_env(env))
    found.update(_from_overrides(overrides))
    return found


def _from_file(path: Path) -> dict[str, Found]:
    text = _read(path)
    document, places = _parse(path, text), Places(text)
    found: dict[str, Found] = {}
    for section, values in document.items():
        where = f"{path}:{places.line(section)}"
        if section not in SECTIONS and section not in NAMED:
            raise _unknown(section, where, [*SECTIONS, *NAMED], "section")
        _need_section(values, section, where)
        if section in SECTIONS:
            found.update(_from_section(path, places, (section,), values))
            continue
        for name, inner in values.items():
            where = f"{path}:{places.line(section, name)}"
            _need_section(inner, f"{section}.{name}", where)
            found.update(_from_section(path, places, (section, name), inner))
            if not inner:
                found[f"{section}.{name}.{_PRESENT}"] = Found(None, where)
    return found


def _need_section(values: Any, section: str, where: str) -> None:
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where}: {section}: is a section, and no setting.", hint=f"Write [{section}]."
        )


def _from_section(
    path: Path, places: Places, section: tuple[str, ...], values: Mapping[str, Any]
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for name, value in values.items():
        key = ".".join((*section, name))
        where = f"{path}:{places.line(*section, name)}"
        _known(key, where)
        found[key] = Found(value, where)
    return found


def _known(key: str, where: str) -> Setting:
    """The setting of that key; raises ConfigError where there is none."""
    setting = setting_of(key)
    if setting is not None:
        return setting
    kind, _, rest = key.partition(".")
    if kind in NAMED:
        section = f"{kind}.{rest.rpartition('.')[0] or 'NAME'}"
        raise _unknown(key, where, [f"{section}.{name}" for name in NAMED_TABLE[kind]], "key")
    raise _unknown(key, where, TABLE, "key")


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
        if match[1].lower() in NAMED:
            raise ConfigError(
                f"{where}: no variable sets a key of {match[1].lower()}.NAME.",
                hint="Write it into the file, or give it with --set.",
            )
        found[key] = Found(_from_text(_known(key, where), value), where)
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
        found[key] = Found(_from_text(_known(key, "--set"), value), "--set")
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
    if setting.number and type(value) is int:
        value = str(value)
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
        hint=f"The default is {json.dumps(setting.default)}."
        if setting.default is not None
        else "Left out, it is inherited.",
    )


def _assemble(found: Mapping[str, Found]) -> Settings:
    single: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    named: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in NAMED}
    for key, item in found.items():
        kind, _, rest = key.partition(".")
        section, _, name = rest.rpartition(".")
        own = named[kind].setdefault(section, {}) if kind in NAMED else single[kind]
        if name != _PRESENT:
            own[name] = _checked(_known(key, item.where), item)
    parts: dict[str, Any] = {name: cls(**single[name]) for name, cls in SECTIONS.items()}
    for kind, cls in NAMED.items():
        parts[kind] = {name: cls(**own) for name, own in named[kind].items()}
    return Settings(**parts)


def merged(old: Settings, new: Settings) -> tuple[Settings, list[str]]:
    """`old` with what may change while it runs taken from `new`; the keys that need a restart.

    The sections of databases, users and applications are taken as they are in `new`.
    """
    changed: dict[str, dict[str, Any]] = {}
    ignored: list[str] = []
    for setting in TABLE.values():
        before = getattr(getattr(old, setting.section), setting.name)
        after = getattr(getattr(new, setting.section), setting.name)
        if before != after and setting.reload:
            changed.setdefault(setting.section, {})[setting.name] = after
        elif before != after:
            ignored.append(setting.key)
    parts: dict[str, Any] = {kind: getattr(new, kind) for kind in NAMED}
    for name, values in changed.items():
        parts[name] = replace(getattr(old, name), **values)
    return replace(old, **parts), ignored


def shown(setting: Setting, value: Any) -> Any:
    """The value as a person may see it: secrets masked."""
    return MASK if setting.secret and value else value
