"""The rules of the architecture, read from the source: who may import whom, and how long."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dbopt"
MAX_FILE = 400
MAX_FUNCTION = 60

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors clock histogram settings configfile logs metrics redact observation resources "
        "verdict sdnotify setting poolsettings guardsection guardsettings configcheck configsample "
        "tomlplaces checksettings complexitysettings frames unixsocket metricsettings "
        "otelsettings reportsettings migratesettings",
        "wire sql",
        "pg store",
        "gateway trace cache stats index migrate guard otel check inprocess",
        "web loadtest",
        "daemon demo",
        "cli",
    )
)
"""From the bottom up. A part may import of lower layers, and of its own only what ALLOWED says."""

ALLOWED = {("store", "pg"), ("demo", "daemon")}
BASE = LAYERS[0]
STDLIB = frozenset(sys.stdlib_module_names) | {"__future__"}

ONLY_IN: dict[str, tuple[str, ...]] = {
    "psycopg": ("pg", "inprocess", "demo/run.py", "demo/workload.py"),
    "psycopg_pool": ("pg", "gateway", "inprocess"),
    "psycopg.conninfo": ("pg", "gateway", "inprocess"),
    "sqlglot": ("sql",),
    "sqlalchemy": ("pg/engine.py", "migrate"),
    "alembic": ("migrate",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "apscheduler": ("daemon",),
    "click": ("cli",),
    "opentelemetry": ("otel",),
    "uvloop": ("gateway",),
    "django": ("inprocess/django",),
}
"""A foreign package, and the places that may import it. demo/run.py and workload.py play the
application, which talks to PostgreSQL as applications do."""

PURE_BASE = ("dbopt.errors.", "dbopt.complexitysettings.")
"""What of the base a pure part may know: the errors, and the weights of the score."""

PURE = {
    "wire": STDLIB - {"asyncio", "socket", "ssl", "select", "selectors", "time", "threading"},
    "sql": (STDLIB - {"asyncio", "socket", "ssl", "time"}) | {"sqlglot"},
}


class Import(NamedTuple):
    file: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: {self.module}"

    @property
    def of_ours(self) -> bool:
        return self.module.startswith("dbopt.")

    @property
    def importer(self) -> str:
        return part(self.file.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))


def part(module: str) -> str:
    """The part of dbopt that a module belongs to: "dbopt.wire.codec" is of "wire"."""
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def nodes(file: Path) -> Iterator[ast.AST]:
    """All of a file's syntax."""
    return ast.walk(ast.parse(file.read_text(encoding="utf-8")))


@cache
def imports(file: Path) -> tuple[Import, ...]:
    """Every module a file imports; `from a import b` counts as a.b where b is a module of ours."""
    found = []
    for node in nodes(file):
        if isinstance(node, ast.Import):
            found += [Import(file, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            module = node.module
            found += [Import(file, node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return tuple(found)


def all_imports() -> list[Import]:
    return [found for file in files() for found in imports(file)]


def layer(name: str) -> int:
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise AssertionError(f"dbopt/{name} is in no layer")


def test_every_part_is_in_a_layer() -> None:
    ours = {
        part(f"dbopt.{file.relative_to(PACKAGE).parts[0].removesuffix('.py')}") for file in files()
    }
    for name in ours - {"__init__", "__main__"}:
        layer(name)


def test_imports_go_downward_only() -> None:
    wrong = []
    for found in all_imports():
        importer, imported = found.importer, part(found.module)
        if not found.of_ours or importer in ("__init__", "__main__"):
            continue
        if imported in (importer, "__version__") or (importer, imported) in ALLOWED:
            continue
        # The base is a layer of single modules, which may use each other.
        if importer in BASE and imported in BASE:
            continue
        if layer(imported) >= layer(importer):
            wrong.append(str(found))
    assert wrong == []


def test_there_is_no_circle_of_imports_at_the_base() -> None:
    uses = {
        name: {part(i.module) for i in imports(PACKAGE / f"{name}.py") if i.of_ours} & BASE
        for name in BASE
        if (PACKAGE / f"{name}.py").exists()
    }
    done: set[str] = set()
    while ready := {name for name, used in uses.items() if name not in done and used <= done}:
        done |= ready
    assert set(uses) == done


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_pure_parts_do_no_input_or_output(name: str) -> None:
    wrong = [
        str(found)
        for found in all_imports()
        if found.importer == name
        and found.module.split(".")[0] not in PURE[name]
        and not found.module.startswith((f"dbopt.{name}.", *PURE_BASE))
    ]
    assert wrong == []


def test_foreign_packages_are_imported_where_they_belong() -> None:
    wrong = []
    for found in all_imports():
        # The longest name that has a rule: psycopg.conninfo has its own.
        named = [n for n in ONLY_IN if f"{found.module}.".startswith(f"{n}.")]
        if not named:
            continue
        where = found.file.relative_to(PACKAGE).as_posix()
        places = ONLY_IN[max(named, key=len)]
        if not any(where == place or where.startswith(f"{place}/") for place in places):
            wrong.append(str(found))
    assert wrong == []


def test_a_gateway_worker_loads_nothing_heavy() -> None:
    heavy = (
        "sqlglot uvicorn starlette apscheduler alembic sqlalchemy click prometheus_client "
        "opentelemetry rich.console greenlet._greenlet"
    )
    code = (
        "import sys, dbopt.gateway.__main__; "
        f"print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


def test_no_unsafe_deserialisation_evaluation_or_shell() -> None:
    banned = {"pickle", "marshal", "shelve", "dill"}
    wrong = [str(found) for found in all_imports() if found.module.split(".")[0] in banned]
    for file in files():
        for node in nodes(file):
            if not isinstance(node, ast.Call):
                continue
            shell = any(word.arg == "shell" for word in node.keywords)
            if shell or (isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_files_are_short() -> None:
    lengths = {f: len(f.read_text(encoding="utf-8").splitlines()) for f in files()}
    assert [] == [f"{f.relative_to(ROOT)}: {n}" for f, n in lengths.items() if n > MAX_FILE]


def test_functions_are_short() -> None:
    wrong = []
    for file in files():
        for node in nodes(file):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {node.name}: {length}")
    assert wrong == []
