"""The tables of docs/migration-lint.md, made from the rules. `python -m tests.lint_docs` writes."""

from __future__ import annotations

from pathlib import Path

from dbopt.migrate.indexlint import RULES as INDEX_RULES
from dbopt.sql.migration.lint import RULES
from dbopt.sql.migration.support import Group
from tests.integration.squawk_differences import DIFFERENCES, LACKING

DOCUMENT = Path(__file__).parents[1] / "docs/migration-lint.md"
_HEADINGS = {
    Group.INDEX: "Indexes",
    Group.LOCKING: "Locks",
    Group.TYPE: "Types",
    Group.ROBUSTNESS: "Robustness",
    Group.DATA: "Data and compatibility",
}


def migration_rules() -> str:
    parts = []
    for group in Group:
        rules = [rule for rule in RULES if rule.group is group]
        rows = [
            (
                f"`{rule.name}`" + ("" if rule.default else " (off)"),
                rule.severity.name.lower(),
                f"{rule.summary} {rule.reason}",
                rule.remedy,
            )
            for rule in rules
        ]
        table = _table(("Rule", "Severity", "What it finds, and why", "What to do"), rows)
        parts.append(f"### {_HEADINGS[group]}\n\n{table}")
    return "\n\n".join(parts)


def index_rules() -> str:
    rows = [
        (
            f"`{rule.name}`" + (" (database)" if rule.needs_schema else ""),
            rule.severity.name.lower(),
            f"{rule.summary} {rule.reason}",
            rule.remedy,
        )
        for rule in INDEX_RULES
    ]
    return _table(("Rule", "Severity", "What it finds, and why", "What to do"), rows)


def differences() -> str:
    rows = [
        (
            "; ".join(one.cases) or "every CREATE INDEX without a schema",
            ", ".join(f"`{rule}`" for rule in one.rules),
            one.only,
            one.right.value,
            one.why,
        )
        for one in DIFFERENCES
    ]
    return _table(("Cases", "Rule", "Only", "Right", "Why"), rows)


def lacking() -> str:
    reasons = dict.fromkeys(LACKING.values())
    return "\n".join(
        f"- {reason[0].upper()}{reason[1:]}: "
        f"{', '.join(f'`{name}`' for name, why in LACKING.items() if why == reason)}."
        for reason in reasons
    )


TABLES = {
    "rules": migration_rules,
    "index-rules": index_rules,
    "differences": differences,
    "lacking": lacking,
}


def written(text: str) -> str:
    """The document with its tables as they should be."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        after = rest.partition(end)[2]
        text = f"{before}{start}\n\n{make()}\n\n{end}{after}"
    return text


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [names, tuple("-" for _ in names), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        if at != 1
        else "|" + "|".join(line) + "|"
        for at, line in enumerate(lines)
    )


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
