"""`dbopt config`: check, show and explain the settings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json
from dbopt.configfile import Found, shown
from dbopt.configsample import sample
from dbopt.settings import NAMED, NAMED_TABLE, TABLE, Setting, Settings, setting_of


@click.group()
def config() -> None:
    """Check, show and explain the settings."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Check every setting: exit 0 when all are right, 2 with the first that is not.

    \b
    Examples:
      dbopt config check
      dbopt -c /etc/dbopt/config.toml config check
    """
    context.sources.load()
    found = context.sources.found()
    if as_json:
        print_json(
            {"ok": True, "file": _path(context), "set": sorted(key.rstrip(".") for key in found)}
        )
    else:
        context.console.print(Text(f"{_path(context) or 'No file'}: {len(found)} set, all right."))


@config.command()
@click.option("--changed", is_flag=True, help="Only what differs from its default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, changed: bool, as_json: bool) -> None:
    """Show every setting, its value and where the value comes from; secrets are masked.

    \b
    Examples:
      dbopt config show --changed
      DBOPT_TRACE__SLOW=200 dbopt config show --json | jq '.["trace.slow"]'
    """
    settings = context.sources.load()
    found = context.sources.found()
    rows = [
        (setting, shown(setting, value), _where(setting, found))
        for setting, value in _values(settings)
        if not changed or value != setting.default
    ]
    if as_json:
        print_json({s.key: {"value": value, "from": where} for s, value, where in rows})
        return
    table = Table("Setting", "Value", "Unit", "From", box=None)
    for setting, value, where in rows:
        text = json.dumps(value, ensure_ascii=False)
        table.add_row(*map(Text, (setting.key, text, setting.unit, where)))
    context.console.print(table)


def _values(settings: Settings) -> Iterator[tuple[Setting, Any]]:
    """Every setting and its value; of the sections of many, what differs from the default."""
    values = asdict(settings)
    for setting in TABLE.values():
        yield setting, values[setting.section][setting.name]
    for kind in NAMED:
        for section, own in values[kind].items():
            for name, value in own.items():
                own_setting = setting_of(f"{kind}.{section}.{name}")
                if own_setting is not None and value != own_setting.default:
                    yield own_setting, value


@config.command()
@click.argument("key", required=False)
@click.option(
    "--format", "form", type=click.Choice(["text", "toml", "json"]), default="text",
    help="toml prints the sample config.toml.",
)  # fmt: skip
@click.pass_obj
def docs(context: Context, key: str | None, form: str) -> None:
    """Explain every setting, or those whose name begins with KEY.

    \b
    Examples:
      dbopt config docs pool
      dbopt config docs --format toml > config.toml
    """
    if form == "toml":
        click.echo(sample(), nl=False)
        return
    named = [setting for table in NAMED_TABLE.values() for setting in table.values()]
    settings = [s for s in (*TABLE.values(), *named) if s.key.startswith(key or "")]
    if not settings:
        raise click.BadParameter(f"there is no setting that begins with {key}", param_hint="KEY")
    if form == "json":
        print_json([_documented(setting) for setting in settings])
        return
    for setting in settings:
        context.console.print(Text(setting.key, style="bold"))
        context.console.print(Text(_indented(setting.doc, context.console.width)))
        facts = _indented(_facts(setting), context.console.width)
        context.console.print(Text(facts, style="dim"))


def _indented(text: str, width: int) -> str:
    """Wrapped, every line of it two columns in."""
    lines = textwrap.wrap(text, max(width - 2, 20), break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), "  ")


def _facts(setting: Setting) -> str:
    reload = "SIGHUP reloads it" if setting.reload else "takes a restart"
    default = f"default {json.dumps(setting.default, ensure_ascii=False)}"
    if setting.default is None:
        default = "inherited when left out"
    facts = (setting.allowed, default, reload, setting.env)
    return "; ".join(fact for fact in facts if fact)


def _documented(setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "env": setting.env,
        "type": setting.type.__name__,
        "default": setting.default,
        "unit": setting.unit,
        "allowed": setting.allowed,
        "reload": setting.reload,
        "secret": setting.secret,
        "doc": setting.doc,
    }


def _where(setting: Setting, found: dict[str, Found]) -> str:
    return found[setting.key].where if setting.key in found else "default"


def _path(context: Context) -> str | None:
    return str(context.sources.path) if context.sources.path else None
