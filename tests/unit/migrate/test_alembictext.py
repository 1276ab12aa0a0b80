from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import textwrap

import pytest

from dbopt.migrate.alembictext import WIDTH, call, comment, literal

TEXTS = [
    "CREATE INDEX i ON t USING btree (a)",
    "CREATE INDEX people_gone ON people USING btree (gone, id DESC) WHERE gone AND mail > 'a'",
    'CREATE INDEX "I" ON "T" USING btree ("A") WHERE a = \'it\'\'s "x"\\n\' AND ' + "b " * 60,
    "x" * 200,
    "\\' \" \n é \x00",
    "CREATE INDEX somewhat_longer_name ON public.somewhat_longer USING btree (a, b, c)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_what_it_was(text: str) -> None:
    assert text == ast.literal_eval(literal(text))
    made = ast.parse(call("f", text, "t", schema=text)).body[0]
    assert isinstance(made, ast.Expr)
    assert isinstance(made.value, ast.Call)
    assert [text, "t"] == [ast.literal_eval(one) for one in made.value.args]
    assert text == ast.literal_eval(made.value.keywords[0].value)


def test_a_formatter_leaves_it_as_it_is() -> None:
    ruff = shutil.which("ruff", path=f"{sys.prefix}/bin")
    if ruff is None:
        pytest.skip("missing: ruff")
    calls = [call("op.create_index_safely", text) for text in TEXTS]
    calls += [call("op.drop_index_safely", "a" * 40, "b" * 30, schema="public")]
    calls += [call("op.drop_index_safely", "people_mail", "people", schema="public")]
    body = textwrap.indent("\n".join(calls), " " * 8)
    source = f"def upgrade() -> None:\n    with block():\n{body}\n"
    done = subprocess.run(
        [ruff, "format", "--isolated", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=True,
    )
    assert source == done.stdout


def test_comments_keep_within_the_line() -> None:
    lines = comment("word " * 40 + "\nanother")
    assert lines[-1] == "# another"
    assert max(map(len, lines)) <= WIDTH - 8
    assert comment("") == []
