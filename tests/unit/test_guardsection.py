"""What is wrong in the guard's settings is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.configfile import load, merged
from dbopt.errors import ConfigError
from dbopt.guardsection import Guard
from dbopt.settings import SECTIONS, TABLE, Settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[guard]\nallow = "DELETE FROM t WHERE password = 1"',
            ':2: guard.allow: found "DELETE FROM t WH", which is no fingerprint. Write '
            "fingerprints of 16 hexadecimal digits, separated by commas; `dbopt query "
            "fingerprint` tells a statement's.",
        ),
        ('guard.deny = "00000000000000ff,"', ':1: guard.deny: found "", which is no fingerprint.'),
        (
            '[routes."/a.b"]\n\nguard_deny = "0xff"',
            ':3: routes./a.b.guard_deny: found "0xff", which is no fingerprint.',
        ),
        (
            "[users.bob]\nguard_allow = 5",
            ":2: users.bob.guard_allow: found 5; allowed is a string. Left out, it is inherited.",
        ),
        (
            '[guard]\nmode = "on"',
            ':2: guard.mode: found "on"; allowed is one of "off", "observe", "enforce".',
        ),
        (
            "[guard]\nheavy_share = 1.5",
            ":2: guard.heavy_share: found 1.5; allowed is a number from 0 to 1.",
        ),
        (
            "[applications.web]\nguard_heavy_share = 0.5",
            ":2: applications.web.guard_heavy_share: there is no such key.",
        ),
        ("[guard]\ntimeout_simple = -1", ":2: guard.timeout_simple: found -1; allowed is"),
    ],
)
def test_what_is_wrong_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_all_of_it_reloads() -> None:
    assert all(TABLE[key].reload for key in TABLE if key.startswith("guard."))
    assert Guard is SECTIONS["guard"]
    new = Settings(guard=Guard(mode="enforce"))
    assert (new, []) == merged(Settings(), new)


def test_from_the_environment_and_the_command_line(tmp_path: Path) -> None:
    loaded = load(
        None,
        {"DBOPT_GUARD__MODE": "enforce", "DBOPT_GUARD__READ_ONLY": "on"},
        ["routes./orders.guard_max_rows=5", "guard.deny=00000000000000FF"],
    )
    assert ("enforce", True, 5) == (
        loaded.guard.mode, loaded.guard.read_only, loaded.routes["/orders"].guard_max_rows,
    )  # fmt: skip
