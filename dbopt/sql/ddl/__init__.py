"""A reader of PostgreSQL's DDL, by tokens: what each statement of a migration says. PURE.

sqlglot keeps much of PostgreSQL's DDL as an unread Command; here each form that a migration rule
asks about has a class of its own (dbopt.sql.ddl.model), and everything else is Other.
Source: PostgreSQL 18 documentation, Part VI, SQL Commands.
"""

from __future__ import annotations

from dbopt.sql.ddl.script import read

__all__ = ["read"]
