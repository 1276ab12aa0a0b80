"""What a pool remembers of what the server made of its clients' wishes."""

from __future__ import annotations

from dbopt.gateway.defaults import Defaults, Welcome
from dbopt.wire import encode

WISHES = {"application_name": "", "DateStyle": "iso"}
SETTINGS = {"application_name": "", "DateStyle": "ISO, MDY"}
REPORTED = {**SETTINGS, "server_version": "18.1"}


def told(parameters: dict[str, str]) -> bytes:
    return b"".join(encode.parameter_status(*each) for each in parameters.items())


def named(settings: dict[str, str], name: str = "web") -> dict[str, str]:
    return {**settings, "application_name": name}


def remembering(name: str = "") -> Defaults:
    defaults = Defaults()
    defaults.remember_welcome(named(WISHES, name), named(SETTINGS, name), named(REPORTED, name))
    return defaults


def test_nobody_is_known_at_first() -> None:
    assert Defaults().welcome(WISHES) is None


def test_the_next_with_the_same_wishes() -> None:
    assert Welcome(SETTINGS, REPORTED, told(REPORTED)) == remembering().welcome(WISHES)
    assert remembering().welcome({**WISHES, "DateStyle": "german"}) is None


def test_the_order_of_wishes_does_not_matter() -> None:
    assert remembering().welcome(dict(reversed(WISHES.items()))) is not None


def test_a_new_name_needs_no_question() -> None:
    expected = Welcome(named(SETTINGS), named(REPORTED), told(named(REPORTED)))
    for first in ("", "cron"):
        assert expected == remembering(first).welcome(named(WISHES))
    assert Welcome(SETTINGS, REPORTED, told(REPORTED)) == remembering("cron").welcome(WISHES)


def test_equal_settings_are_one_dict() -> None:
    defaults = remembering()
    first, second = defaults.welcome(named(WISHES)), defaults.welcome(named(WISHES))
    assert first is second
    assert first is not None
    assert first.settings is defaults.canonical(named(SETTINGS))


def test_a_name_that_the_server_reports_otherwise_is_the_clients() -> None:
    defaults = Defaults()
    found = defaults.remember_welcome(named(WISHES), named(SETTINGS, "?"), named(REPORTED, "?"))
    assert Welcome(named(SETTINGS), named(REPORTED), told(named(REPORTED))) == found


def test_a_server_that_reports_no_name() -> None:
    defaults = Defaults()
    found = defaults.remember_welcome(named(WISHES), named(SETTINGS), {"server_version": "18.1"})
    assert {"server_version": "18.1"} == found.parameters


def test_new_defaults_forget_all() -> None:
    defaults = remembering()
    defaults.learn({"DateStyle": "German, DMY"})
    assert defaults.welcome(WISHES) is None
    assert {"DateStyle": "German, DMY"} == defaults.default_settings()
    defaults.remember_welcome(WISHES, SETTINGS, REPORTED)
    defaults.learn({"DateStyle": "German, DMY"})
    assert defaults.welcome(WISHES) is not None


def test_made_up_names_fill_no_memory() -> None:
    defaults = remembering()
    for number in range(5000):
        defaults.remember_welcome(WISHES, SETTINGS, REPORTED)
        assert defaults.welcome(named(WISHES, f"app{number}")) is not None
    assert len(defaults._welcomes) <= 1000
