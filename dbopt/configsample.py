"""The sample config.toml, made from the table of settings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from dbopt.settings import NAMED, NAMED_TABLE, SECTIONS, TABLE, Setting

_SHOWN = {"pool": "max_size", "guard": "guard_mode"}
"""Of what else a section of many may have, the setting that is shown as the example."""


def sample() -> str:
    """The sample config.toml: every setting, commented out, with its default.

    Of the sections that there may be many of, one example each.
    """
    lines = [
        "# dbopt's configuration. Every line that is commented out shows the default.",
        "# Each can be set by the environment too: [gateway] port is DBOPT_GATEWAY__PORT.",
    ]
    for section, cls in SECTIONS.items():
        lines += ["", f"# {(cls.__doc__ or '').strip()}", f"[{section}]"]
        for setting in TABLE.values():
            if setting.section == section:
                lines += [*_said(setting), f"# {_assigned(setting)}"]
    for kind in NAMED:
        lines += ["", *_example(kind)]
    return "\n".join(lines) + "\n"


def _said(setting: Setting) -> list[str]:
    after = "; SIGHUP reloads it" if setting.reload else ""
    return [f"# {setting.doc}", f"#   {setting.allowed}{after}"]


def _assigned(setting: Setting) -> str:
    value = setting.default if setting.example is None else setting.example
    return f"{setting.name} = {json.dumps(value, ensure_ascii=False)}"


def _example(kind: str) -> Iterator[str]:
    """One section of the many that there may be, wholly commented out."""
    yield f"# {(NAMED[kind].__doc__ or '').strip()}"
    yield f"# There may be many [{kind}.NAME], with any of these keys. An example:"
    yield f"#[{kind}.app]"
    for setting in NAMED_TABLE[kind].values():
        if not setting.instead:
            yield from _said(setting)
            yield f"#{_assigned(setting)}"
    for section, shown in _SHOWN.items():
        yield from _instead(kind, section, shown)


def _instead(kind: str, section: str, shown: str) -> Iterator[str]:
    """What a section of many may have instead of `section`, and one of it as the example."""
    others = [s for s in NAMED_TABLE[kind].values() if s.instead.startswith(f"{section}.")]
    if not others:
        return
    keys = ", ".join(setting.name for setting in others)
    yield from textwrap.wrap(
        f"Of [{section}], and here instead of it: {keys}.",
        96, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False,
    )  # fmt: skip
    default = TABLE[NAMED_TABLE[kind][shown].instead].default
    yield f"#{shown} = {json.dumps(default)}"
