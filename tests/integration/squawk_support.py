"""Cases of SQL, and what squawk and dbopt say of each: the names of squawk's rules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dbopt.sql.migration.lint import RULES, lint_migration

CASES = Path(__file__).with_name("data_squawk_cases.sql")
SQUAWK = Path(sys.executable).with_name("squawk")
VERSION = "2.70.0"
NEWEST = 18

INDEX_AND_LOCKING = frozenset(
    """adding-field-with-default adding-foreign-key-constraint adding-not-nullable-field
    adding-required-field adding-serial-primary-key-field
    ban-concurrent-index-creation-in-transaction changing-column-type constraint-missing-not-valid
    disallowed-unique-constraint identifier-too-long prefer-robust-stmts prefer-repack
    ban-truncate-cascade ban-uncommitted-transaction require-concurrent-index-creation
    require-concurrent-index-deletion require-concurrent-partition-detach
    require-concurrent-reindex require-lock-timeout require-statement-timeout
    transaction-nesting ban-create-domain-with-constraint
    ban-alter-domain-with-add-constraint""".split()  # noqa: SIM905
)
"""squawk's rules about indexes, and about what is locked and for how long."""


@dataclass(frozen=True, slots=True)
class Case:
    """One text. `rule` is what it is about; it is wrapped in a transaction if the tool does so."""

    rule: str
    name: str
    sql: str
    transaction: bool = False
    version: int = NEWEST

    def __str__(self) -> str:
        return f"{self.rule}: {self.name}"


def cases() -> list[Case]:
    text = CASES.read_text(encoding="utf-8")
    parts = re.split(r"^-- case: (\S+): (.*)\n", text, flags=re.MULTILINE)
    return [_case(*parts[at : at + 3]) for at in range(1, len(parts), 3)]


def _case(rule: str, words: str, sql: str) -> Case:
    found = re.fullmatch(r"(.*?)(?: \[(.*)\])?", words)
    assert found is not None
    options = (found[2] or "").split()
    versions = [int(word) for word in options if word.isdigit()]
    return Case(rule, found[1], sql, "transaction" in options, *versions)


def squawk_rules() -> frozenset[str]:
    """Every rule that the cases are about, but for the old name of two."""
    return frozenset(case.rule for case in cases()) - {"require-timeout-settings"}


def squawk(found: Iterable[Case], directory: Path, rules: Iterable[str]) -> dict[Case, set[str]]:
    """What squawk says of each case with all its rules on: one run for each set of options."""
    groups: defaultdict[tuple[bool, int], list[Case]] = defaultdict(list)
    said: dict[Case, set[str]] = {}
    for case in found:
        groups[case.transaction, case.version].append(case)
    for (transaction, version), members in groups.items():
        group = f"{version}_{transaction}"
        files = {str(directory / f"{group}_{n}.sql"): case for n, case in enumerate(members)}
        for file, case in files.items():
            Path(file).write_text(case.sql, encoding="utf-8")
            said[case] = set()
        options = ["--assume-in-transaction"] if transaction else []
        done = subprocess.run(
            [SQUAWK, "--reporter=json", f"--pg-version={version}.0",
             f"--include={','.join(rules)}", *options, *files],
            capture_output=True, text=True, check=False, cwd=directory,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        for finding in json.loads(done.stdout):
            said[files[finding["file"]]].add(finding["rule_name"])
    return said


def ours(case: Case) -> set[str]:
    """What dbopt says of a case with all its rules on, by squawk's names."""
    names = {rule.name: rule.squawk for rule in RULES}
    findings = lint_migration(
        case.sql, rules=RULES, in_transaction=case.transaction, version=case.version
    )
    return {names[one.rule] for one in findings if one.examined and names[one.rule]}
