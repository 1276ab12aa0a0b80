"""deploy/: rules and the dashboard ask for what there is, and each alert does what it says."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dbopt.metrics import DEFINITIONS, Definition
from dbopt.stats.exposition.source import DEFINITIONS as COLLECTED
from dbopt.trace import autoplans, pgbouncer, transactions

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = ("dbopt.rules.yml", "dbopt.recording.yml")
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
TARGET = {"job", "instance", "le", "exported_job"}

_name = re.compile(r"\b(?:dbopt|pg|pgbouncer|process)_[a-z_0-9]+\b|\bup\b(?!\()")
_selector = re.compile(r"([a-z_0-9]+)\{([^}]*)\}")
_by = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def otel() -> tuple[Definition, ...]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="missing: dbopt[otel]")
    from dbopt.otel.telemetry import DEFINITIONS as OTEL

    return OTEL


def known() -> dict[str, set[str]]:
    """The labels of every metric by its name; a histogram's has endings."""
    tables = (
        DEFINITIONS, COLLECTED, pgbouncer.DEFINITIONS, transactions.METRICS, autoplans.METRICS,
        otel(),
    )  # fmt: skip
    found: dict[str, set[str]] = {name: set() for name in OTHERS}
    for definition in (one for table in tables for one in table):
        for ending in ("", "_bucket", "_sum", "_count"):
            found[definition.name + ending] = set(definition.labels)
    return found


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dbopt.json").read_text())
    return board


def asked() -> Iterator[str]:
    """Every expression of the dashboard."""
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for one in board["annotations"]["list"]:
        if "expr" in one:
            yield one["expr"]


def ruled() -> Iterator[str]:
    """Every expression of the rules."""
    for name in RULES:
        lines = (PROMETHEUS / name).read_text().splitlines()
        for line, after in pairwise(lines):
            if line.strip() == "expr: >-":
                yield after.strip()


def names(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", "", expression)
    return set(_name.findall(_by.sub("", bare)))


@pytest.mark.parametrize("expressions", [ruled, asked])
def test_what_is_asked_for_exists(expressions: Any) -> None:
    there = known()
    every = list(expressions())
    assert every
    assert set() == {name for one in every for name in names(one)} - set(there)
    every_label = set.union(*there.values()) | TARGET
    for one in every:
        for name, matchers in _selector.findall(one):
            labels = set(re.findall(r"([a-z_]+) ?(?:=~|!~|!=|=)", matchers))
            assert labels <= there[name] | TARGET, (name, labels)
        for listed in _by.findall(one):
            assert {label.strip() for label in listed.split(",")} <= every_label, one


def test_variables_are_of_what_exists() -> None:
    variables = dashboard()["templating"]["list"]
    assert ["datasource", "instance", "database"] == [one["name"] for one in variables]
    for one in variables[1:]:
        assert names(one["definition"]) <= set(known())


def test_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len(panels) == len({panel["id"] for panel in panels})
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_alerts_say_how_bad_and_what_to_do() -> None:
    text = (PROMETHEUS / "dbopt.rules.yml").read_text()
    alerts = text.split("- alert: ")[1:]
    assert len(alerts) == len({alert.split()[0] for alert in alerts})
    tests = "".join(path.read_text() for path in PROMETHEUS.glob("*.test.yml"))
    for alert in alerts:
        assert re.search(r"severity: (critical|warning|info)\n", alert)
        assert "summary: " in alert
        assert "description: " in alert
        asked_of = f'alertname="{alert.split()[0]}"'
        assert 2 == tests.count(asked_of), asked_of  # that it fires, and that it does not


def promtool(*words: str, cwd: Path = PROMETHEUS) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("missing: promtool")
    done = subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_promtool_reads_the_rules_and_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", ["dbopt.rules.test.yml", "dbopt.rules.days.test.yml"])
def test_each_alert_fires_and_does_not(file: str) -> None:
    promtool("test", "rules", file)


def test_promtool_reads_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(asked())
    ]
    text = json.dumps({"groups": [{"name": "panels", "rules": rules}]})
    for variable, value in (("$__rate_interval", "5m"), ("$__range", "3h")):
        text = text.replace(variable, value)
    (tmp_path / "panels.yml").write_text(text)  # JSON is YAML
    promtool("check", "rules", "panels.yml", cwd=tmp_path)


def test_the_unit_runs_what_there_is() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "systemd" / "dbopt.service")
    service = unit["Service"]
    assert "notify" == service["Type"]
    assert service["ExecStart"].split()[0].endswith("/dbopt")
    assert ["-c", "/etc/dbopt/config.toml", "serve"] == service["ExecStart"].split()[1:]
    assert "dbopt" == service["User"]
    assert "yes" == service["NoNewPrivileges"]
