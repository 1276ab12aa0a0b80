from __future__ import annotations

import re

import pytest

from dbopt.migrate.indexlint import RULES as INDEX_RULES
from dbopt.sql.migration.lint import RULES
from tests.lint_docs import DOCUMENT, TABLES, written


def test_the_document_is_of_these_rules() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text, "run: python -m tests.lint_docs"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_place(name: str) -> None:
    assert 1 == DOCUMENT.read_text(encoding="utf-8").count(f"<!-- {name} -->")


def test_every_rule_is_in_it() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)`", text, flags=re.MULTILINE)
    assert sorted(rows) == sorted(
        [*(one.name for one in RULES), *(one.name for one in INDEX_RULES)]
    )
