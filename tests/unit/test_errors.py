from __future__ import annotations

from collections.abc import Iterator

import pytest

# Imported so that every class of the tree is known, wherever it is defined.
import dbopt.cli.root
from dbopt.errors import (
    EXIT_CODES,
    EXIT_UNREACHABLE,
    ConfigError,
    ConnectError,
    DboptError,
    ServerLost,
    ServerRefused,
)

assert dbopt.cli.root


def tree(cls: type[DboptError] = DboptError) -> Iterator[type[DboptError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from tree(sub)


EVERY = pytest.mark.parametrize("cls", list(tree()), ids=lambda cls: cls.__name__)


@EVERY
def test_each_knows_its_codes(cls: type[DboptError]) -> None:
    assert 5 == len(cls.sqlstate)
    assert cls.sqlstate.isalnum()
    assert cls.sqlstate == cls.sqlstate.upper()
    assert 400 <= cls.http_status <= 599
    assert cls.exit_code in EXIT_CODES
    assert cls.exit_code not in (0, 1)


@EVERY
def test_each_says_what_happened_where_nobody_else_does(cls: type[DboptError]) -> None:
    assert (cls.__doc__ or "").splitlines()[0].endswith((".", "."))
    if cls is not ServerRefused:
        assert (cls.__doc__ or "").splitlines()[0] == str(cls())


def test_a_lost_server_is_to_a_deploy_as_one_that_cannot_be_reached() -> None:
    """It starts again, later: what the server did before it went is not partly done for ever."""
    assert EXIT_UNREACHABLE == ConnectError.exit_code == ServerLost.exit_code


def test_message_and_hint() -> None:
    error = ConfigError("It is wrong.", hint="Mend it.")
    assert ("It is wrong.", "Mend it.", "It is wrong. Mend it.") == (
        error.message, error.hint, str(error),
    )  # fmt: skip
    assert "It is wrong." == str(ConfigError("It is wrong."))


@pytest.mark.parametrize(
    ("state", "temporary"), [("57P03", True), ("53300", True), ("3D000", False)]
)
def test_a_refusal_that_may_pass(state: str, temporary: bool) -> None:
    assert ServerRefused("no", state).temporary is temporary
