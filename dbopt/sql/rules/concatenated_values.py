"""Values written into SQL as text: what came from outside can then be SQL itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.lexer import Lexeme, Token, code, tokens
from dbopt.sql.query import Kind
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.rules.transactions import stretches
from dbopt.sql.script import Script, Subject

FEWEST = 5
"""Statements that differ in their constants alone. A script written by hand may have some."""
_LOOPED = frozenset({Kind.READ, Kind.UPDATE, Kind.DELETE})
_QUOTING = frozenset({"quote_ident", "quote_literal", "quote_nullable", "format"})
_BODIES = frozenset({("do",), ("create", "function"), ("create", "procedure"), ("create", "or")})
_ENDS = frozenset({";", "using", "into"})
_LONGEST_BODY = 100_000
"""Characters of a function's body that are read."""
_raw_place = re.compile(r"%(?:[0-9]+\$)?-?[0-9]*s").search
_opens_with_a_quote = re.compile(r"--[ \t]*'").match


def _check(subject: Subject) -> Iterator[Match]:
    yield from _dynamic(subject)
    if subject.tree is not None:
        for node in subject.tree.find_all(exp.Or):
            yield from _tautologies(subject, node)


# --- dynamic SQL


def _dynamic(subject: Subject) -> Iterator[Match]:
    """EXECUTE of concatenated text in the body of a DO, a function or a procedure."""
    written = subject.judged.statement.tokens
    words = subject.judged.statement.words
    if words[:1] not in _BODIES and words[:2] not in _BODIES:
        return
    for token in written:
        body = _body(token)
        found = sum(1 for text in _executed(code(body)) if _is_joined(text))
        if found:
            yield Match(
                subject,
                f"EXECUTE of SQL that values are concatenated into, {found} times."
                if found > 1
                else "EXECUTE of SQL that values are concatenated into.",
                remedy=(
                    "Pass values by USING and write $1 for them: EXECUTE '... = $1' USING value; "
                    "put names in by format('%I', name)."
                ),
                evidence={"executes": found},
            )


def _body(token: Token) -> str:
    if token.lexeme is not Lexeme.STRING or len(token.text) > _LONGEST_BODY:
        return ""
    if token.text[0] == "$":
        tag = token.text[: token.text.index("$", 1) + 1]
        return token.text[len(tag) :].removesuffix(tag)
    return token.text[1:-1].replace("''", "'") if token.text[0] == "'" else ""


def _executed(body: Sequence[Token]) -> Iterator[list[Token]]:
    """The expression after each EXECUTE, up to USING, INTO or the end."""
    for at, token in enumerate(body):
        if token.lexeme is not Lexeme.WORD or token.text.lower() != "execute":
            continue
        expression: list[Token] = []
        for part in body[at + 1 :]:
            if part.text.lower() in _ENDS:
                break
            expression.append(part)
        # GRANT EXECUTE ON, and a trigger's EXECUTE FUNCTION, are no PL/pgSQL.
        if expression and expression[0].text.lower() not in {"on", "function", "procedure"}:
            yield expression


def _is_joined(expression: Sequence[Token]) -> bool:
    """Whether a bare name stands beside `||`, or format() has a %s for one."""
    for at, token in enumerate(expression):
        if token.text == "||":
            before, after = expression[at - 1 : at], expression[at + 1 : at + 3]
            if _is_bare(before, ()) or _is_bare(after[:1], after[1:]):
                return True
        elif token.text.lower() == "format":
            pattern = expression[at + 2 : at + 3]
            if pattern and pattern[0].lexeme is Lexeme.STRING and _has_raw_place(pattern[0].text):
                return True
    return False


def _has_raw_place(pattern: str) -> bool:
    return _raw_place(pattern.replace("%%", "")) is not None


def _is_bare(token: Sequence[Token], following: Sequence[Token]) -> bool:
    """A variable; not a literal, and not a call of what quotes its argument."""
    if not token or token[0].lexeme not in {Lexeme.WORD, Lexeme.NAME, Lexeme.PARAM}:
        return False
    called = bool(following) and following[0].text == "("
    return not called and token[0].text.lower() not in _QUOTING


# --- what an injection leaves


def _tautologies(subject: Subject, node: exp.Or) -> Iterator[Match]:
    """`OR 1=1`: a builder of SQL writes `1=1 AND`; with OR it makes every row match."""
    for side in (node.this, node.expression):
        part = side.unnest()
        if isinstance(part, exp.EQ) and _same_constants(part.this, part.expression):
            yield Match(
                subject,
                "OR with a condition that is always true: every row matches. It is what an SQL "
                "injection looks like.",
                part,
                severity=Severity.CRITICAL,
            )


def _same_constants(one: exp.Expr, other: exp.Expr) -> bool:
    return isinstance(one, exp.Literal) and one == other


def _check_script(script: Script) -> Iterator[Match]:
    yield from _cut_statements(script)
    yield from _unparameterised(script)


def _cut_statements(script: Script) -> Iterator[Match]:
    """A comment right after the statement that opens with the quote which was to close a value."""
    if "--" not in script.text:
        return
    comments = {t.start: t for t in tokens(script.text) if t.lexeme is Lexeme.COMMENT}
    for subject in script.subjects:
        end = subject.start + len(subject.sql)
        rest = script.text[end : end + 8]
        at = end + len(rest) - len(rest.lstrip(" ;"))
        comment = comments.get(at)
        if comment is not None and _is_cut_off(comment.text):
            yield Match(
                subject,
                "A comment cuts off a closing quote: it is what an SQL injection looks like.",
                subject.tree,
                severity=Severity.CRITICAL,
            )


def _is_cut_off(comment: str) -> bool:
    """What a value leaves that has ended its string, `admin'--`: a quote, and whole strings."""
    return _opens_with_a_quote(comment) is not None and comment.count("'") % 2 == 1


def _unparameterised(script: Script) -> Iterator[Match]:
    """One statement many times over, with other constants each time and no parameter."""
    found: dict[int, list[Subject]] = {}
    for stretch in stretches(script):
        for subject in stretch.subjects:
            if _has_constants_only(subject):
                found.setdefault(subject.fingerprint, []).append(subject)
    for alike in found.values():
        texts = {one.sql for one in alike}
        if len(texts) >= FEWEST:
            yield Match(
                alike[0],
                f"{len(texts)} statements differ in their constants alone: "
                "each is parsed and planned anew.",
                alike[0].tree,
                evidence={"statements": len(texts), "lines": [one.line for one in alike]},
            )


def _has_constants_only(subject: Subject) -> bool:
    tree, does = subject.tree, subject.judged.does
    if tree is None or does.kind not in _LOOPED or not (does.reads or does.writes):
        return False
    if tree.find(exp.Parameter, exp.Placeholder) is not None:
        return False
    return any(where.find(exp.Literal) is not None for where in tree.find_all(exp.Where))


RULE = Rule(
    name="concatenated-values",
    severity=Severity.WARNING,
    summary="Values written into the SQL where parameters belong.",
    reason=(
        "A value that becomes part of the text can end its string and go on as SQL: an SQL "
        "injection. And each value makes another text, that is parsed and planned anew and finds "
        "no prepared statement."
    ),
    remedy="Send the values as parameters: $1 in the text, the value beside it.",
    fires=(
        "DO $$ DECLARE wanted text := 'a'; BEGIN EXECUTE 'DELETE FROM users WHERE name = ''' "
        "|| wanted || ''''; END $$"
    ),
    passes=(
        "DO $$ DECLARE wanted text := 'a'; BEGIN EXECUTE 'DELETE FROM users WHERE name = $1' "
        "USING wanted; END $$"
    ),
    check=_check,
    check_script=_check_script,
)
