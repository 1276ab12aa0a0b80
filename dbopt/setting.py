"""What one setting is: where it stands, what it takes, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `reload` tells whether SIGHUP brings a new value in; otherwise a restart does. `instead`
    is the dotted key that it stands in for, where one database or user has its own;
    `example` is what the sample file shows of a setting without a default. `number` tells
    that a string may be written as a number too, such as a port.
    """

    section: str
    name: str
    type: type
    default: Any
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    reload: bool = False
    secret: bool = False
    instead: str = ""
    example: Any = None
    number: bool = False

    @property
    def key(self) -> str:
        """The dotted key, `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> str:
        """The environment variable that sets it; "" in a section of many, `[databases.NAME]`."""
        return "" if "." in self.section else f"DBOPT_{self.section}__{self.name}".upper()

    @property
    def allowed(self) -> str:
        """What values it takes, in words."""
        if self.choices:
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
        words = noun[self.type]
        if self.low is not None and self.high is not None:
            words += f" from {self.low:.15g} to {self.high:.15g}"
        elif self.low is not None:
            words += f" of at least {self.low:.15g}"
        return f"{words} ({self.unit})" if self.unit else words


def option(default: Any, doc: str, **meta: Any) -> Any:
    """A field of a section: its default, what it does, and Setting's other attributes."""
    return field(default=default, metadata={"doc": doc, **meta})


def instead(section: str, cls: type, name: str) -> Any:
    """A field that stands in for `section.name`, with the same limits; None inherits it."""
    (of,) = (f for f in fields(cls) if f.name == name)
    doc = f"Here instead of {section}.{name}: {of.metadata['doc']}"
    meta = {**of.metadata, "doc": doc, "instead": f"{section}.{name}", "reload": True}
    return field(default=None, metadata=meta)


def settings_of(section: str, cls: type) -> Iterator[Setting]:
    """The settings of a section, in the order of its class; what it inherits of another, last."""
    hints = get_type_hints(cls)
    for f in sorted(fields(cls), key=lambda f: f.kw_only is True):
        yield Setting(section, f.name, _plain(hints[f.name], f), f.default, **f.metadata)


def _plain(hint: Any, f: Field[Any]) -> type:
    """The type itself of one that may be None too."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if isinstance(hint, UnionType) and len(kinds) == 1:
        hint = kinds[0]
    if hint not in (bool, int, float, str):
        raise TypeError(f"{f.name}: a setting cannot be {hint}")
    return hint  # type: ignore[no-any-return]
