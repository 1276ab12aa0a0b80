"""No literal of a statement is in a verdict, in the log of decisions, or in what HTTP shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from msgspec.structs import asdict

from dbopt.guard.policy import RULES, decide
from dbopt.guardsettings import GuardRules
from tests.unit.guard.made import held, query

SECRET = "t0psecret"
TEXTS = (
    f"DELETE FROM t WHERE '{SECRET}' = '{SECRET}'", f"SELECT * FROM t WHERE a LIKE '%{SECRET}'",
    f"SELECT E'{SECRET}', U&'{SECRET}', $${SECRET}$$, $q${SECRET}$q$, B'1', X'1' /* {SECRET} */",
    f"ALTER ROLE app PASSWORD '{SECRET}'", f"DO $$ BEGIN PERFORM '{SECRET}'; END $$",
    f"COPY t FROM PROGRAM '{SECRET}'", f"SELECT !!! '{SECRET}' ((", f"SELEKT '{SECRET}'",
    f"SELECT 1; UPDATE t SET a = '{SECRET}'", f"PREPARE p AS DELETE FROM t WHERE '{SECRET}' = '1'",
    f"SELECT * FROM a, b, c, d WHERE lower(a.x) = '{SECRET}' OR b.y = '{SECRET}' -- {SECRET}",
    f"SELECT * FROM t WHERE a IN ({', '.join([repr(SECRET)] * 200)})", f"SELECT '{SECRET}",
    f"SELECT count(*) FROM t WHERE a ~ '{SECRET}' AND b || '{SECRET}' = c LIMIT 5",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_no_rule_tells_a_literal(text: str) -> None:
    one = query(text)
    base = GuardRules(max_complexity=0, unqualified_writes="allow")
    every = (
        replace(base, deny=frozenset({one.fingerprint})), replace(base, read_only=True),
        replace(base, ddl="refuse"), replace(base, unqualified_writes="refuse"),
        replace(base, max_complexity=1), replace(base, max_cost=1.0), base,
    )  # fmt: skip
    said = [decide(one, rules, 5.0) for rules in every] + [decide(one, base, None, held(), 1.0)]
    assert {"deny", "quarantine"} <= {verdict.rule for verdict in said}
    assert len(said) == len(RULES) + 1
    assert SECRET not in json.dumps([asdict(verdict) for verdict in said])
    assert SECRET not in one.text
