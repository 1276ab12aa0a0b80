from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbopt import configfile
from dbopt.configfile import Found, load, merged, shown
from dbopt.errors import ConfigError
from dbopt.settings import (
    TABLE,
    Application,
    Database,
    Gateway,
    Setting,
    Settings,
    Trace,
    User,
)

ROOT = Path(__file__).parents[2]
KEYS = pytest.mark.parametrize("setting", TABLE.values(), ids=lambda setting: setting.key)
SECRET = "hunter2"
DSN = f"postgresql://app:{SECRET}@db.internal/app"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str | bytes) -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return written


def refusal(*args: Any, **kwargs: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def value_of(settings: Settings, setting: Setting) -> Any:
    return getattr(getattr(settings, setting.section), setting.name)


# Places


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[gateway]\nport = "x"', 2),
        ('\n\n[gateway] # here\n  port="x"', 4),
        ('gateway.port = "x"', 1),
        ('# a\ngateway . "port" = "x"', 2),
        ('"gateway".port = "x"', 1),
        ('["gateway"]\n\'port\' = "x"', 2),
        ('[http]\nport = 1\n[gateway]\nport = "x"', 4),
        ('[gateway]\nhost = "::1"\n\n[http]\nport = 1\n', 0),
        ('[gateway]\n# port = 1\nhost = "::1"\nport = "x"', 4),
        ('pool.max_size = 9\ngateway.host = "::1"\ngateway.port = "x"\n[http]\nport = 1', 3),
        ('[http]\nport = 1\n[gateway.port]\nx = "x"', 3),
        ('[pool]\n\n[gateway]\nport.x = "x"', 4),
        ('# a\ngateway = { port = "x" }', 2),
    ],
)
def test_a_wrong_value_is_named_by_file_and_line(text: str, line: int, write: Write) -> None:
    path = write(text)
    if not line:
        load(path)
        return
    assert str(refusal(path)).startswith(f"{path}:{line}: gateway.port: found ")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[gatway]\n", 1, "gatway: there is no such section. Did you mean gateway?"),
        ("[http]\n[zzz]\n", 2, "zzz: there is no such section. `dbopt config docs` lists"),
        ("[http]\ngatway.port = 1", 2, "http.gatway: there is no such key."),
        ("\ngatway.port = 1", 2, "gatway: there is no such section. Did you mean gateway?"),
        (
            "[gateway]\nprot = 1",
            2,
            "gateway.prot: there is no such key. Did you mean gateway.port?",
        ),
        ("\ngateway = 5", 2, "gateway: is a section, and no setting. Write [gateway]."),
        ("\n[[gateway]]\nport = 5", 2, "gateway: is a section, and no setting."),
        ("[http]\nport = 1\nslow = 5", 3, "http.slow: there is no such key."),
        ("[gateway]\nport = 6432\n[gateway.tls]\n", 3, "gateway.tls: there is no such key."),
    ],
)
def test_what_is_not_there_is_named_by_file_and_line(
    text: str, line: int, said: str, write: Write
) -> None:
    path = write(text)
    assert str(refusal(path)).startswith(f"{path}:{line}: {said}")


# Values


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("gateway.port", '"6432"', '"6432"'),
        ("gateway.port", "6432.0", "6432.0"),
        ("gateway.port", "true", "true"),
        ("gateway.port", "65536", "65536"),
        ("gateway.port", "-1", "-1"),
        ("gateway.port", "[1]", "[1]"),
        ("gateway.port", "2026-01-01", '"2026-01-01"'),
        ("stats.enabled", "1", "1"),
        ("stats.enabled", '"yes"', '"yes"'),
        ("gateway.host", "5", "5"),
        ("trace.slow", "nan", "NaN"),
        ("trace.slow", "inf", "Infinity"),
        ("trace.slow", "-0.1", "-0.1"),
        ("trace.slow", "true", "true"),
        ("pool.max_lifetime", "inf", "Infinity"),
        ("pool.warn_ratio", "1.01", "1.01"),
        ("gateway.auth_type", '"peer"', '"peer"'),
        ("log.level", '"INFO"', '"INFO"'),
    ],
)
def test_a_value_that_is_not_allowed(key: str, value: str, found: str, write: Write) -> None:
    path, setting = write(f"{key} = {value}"), TABLE[key]
    said = f"{path}:1: {key}: found {found}; allowed is {setting.allowed}. The default is "
    assert str(refusal(path)).startswith(said)


@KEYS
def test_the_bounds_of_each_number(setting: Setting, write: Write) -> None:
    for bound, beyond in ((setting.low, -1), (setting.high, 1)):
        if bound is not None:
            assert "allowed is" in str(refusal(write(f"{setting.key} = {bound + beyond}")))


@KEYS
def test_not_a_number_is_refused_everywhere(setting: Setting) -> None:
    if setting.type is float:
        assert "found NaN" in str(refusal(overrides=[f"{setting.key}=nan"]))


def test_a_whole_number_is_a_number(write: Write) -> None:
    assert 200.0 == load(write("trace.slow = 200")).trace.slow
    assert type(load(write("trace.slow = 200")).trace.slow) is float


def test_a_long_value_is_not_shown_whole(write: Write) -> None:
    assert len(str(refusal(write(f'trace.slow = "{"x" * 5000}"')))) < 400


# Files


def test_toml_that_is_none(write: Write) -> None:
    path = write("[gateway]\nport = \n")
    assert f"{path}:2: is not valid TOML: Invalid value." == str(refusal(path))


def test_toml_that_ends_too_early(write: Write) -> None:
    path = write("[gateway]\nport = [1,")
    assert str(refusal(path)).startswith(f"{path}:2: is not valid TOML: ")


def test_a_key_twice(write: Write) -> None:
    path = write("[gateway]\nport = 1\nport = 2\n")
    assert str(refusal(path)).startswith(f"{path}:3: is not valid TOML: ")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert str(refusal(path)).startswith(f"{path}: cannot be read: No such file or directory.")


def test_a_directory(tmp_path: Path) -> None:
    assert str(refusal(tmp_path)).startswith(f"{tmp_path}: cannot be read: Is a directory.")


def test_a_file_that_may_not_be_read(write: Write) -> None:
    path = write("")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads every file")
    assert str(refusal(path)).startswith(f"{path}: cannot be read: Permission denied.")


def test_text_that_is_not_utf_8(write: Write) -> None:
    path = write(b"[gateway]\nhost = '\xff'")
    assert f"{path}:2: is not UTF-8 text (byte 18)." == str(refusal(path))


def test_a_huge_file(write: Write) -> None:
    path = write("# x\n" * (configfile.MAX_BYTES // 4 + 1))
    assert f"{path}: is longer than 1048576 bytes: no configuration is." == str(refusal(path))


def test_an_endless_one() -> None:
    assert "longer than" in str(refusal(Path("/dev/zero")))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 50_000])
def test_values_that_tomllib_chokes_on(value: str, write: Write) -> None:
    path = write(f"trace.slow = {value}")
    assert str(refusal(path)).startswith(f"{path}")


def test_an_empty_file_and_none(write: Write) -> None:
    assert Settings() == load(write("")) == load()


# Sources


@KEYS
def test_the_environment_sets_each(setting: Setting) -> None:
    text = str(setting.default).lower() if setting.type is bool else str(setting.default)
    found = configfile.sources(None, {setting.env: text}, ())
    assert (setting.default, f"environment {setting.env}") == (
        found[setting.key].value, found[setting.key].where,
    )  # fmt: skip


def test_the_last_one_counts(write: Write) -> None:
    path = write("[trace]\nslow = 1\nmax_slow = 1\nplans_per_minute = 1")
    env = {"DBOPT_TRACE__SLOW": "2", "DBOPT_TRACE__MAX_SLOW": "2"}

    settings = load(path, env, ["trace.slow=3", "trace.slow=4"])

    assert (4.0, 2, 1) == (
        settings.trace.slow, settings.trace.max_slow, settings.trace.plans_per_minute,
    )  # fmt: skip


def test_a_stronger_source_does_not_hide_a_wrong_key_in_a_weaker_one(write: Write) -> None:
    assert "trace.slwo" in str(refusal(write("[trace]\nslwo = 1"), {}, ["trace.slow=3"]))


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("ON", True), ("1", True), (" off ", False), ("False", False), ("0", False)],
)
def test_truth_in_words(text: str, value: bool) -> None:
    assert value is load(env={"DBOPT_TRACE__PLANS": text}).trace.plans


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            {"DBOPT_TRACE__PLANS": "maybe"},
            'environment DBOPT_TRACE__PLANS: trace.plans: found "may',
        ),
        ({"DBOPT_GATEWAY__PORT": "many"}, 'environment DBOPT_GATEWAY__PORT: gateway.port: found "'),
        ({"DBOPT_GATEWAY__PORT": ""}, 'environment DBOPT_GATEWAY__PORT: gateway.port: found ""; '),
        (
            {"DBOPT_GATEWAY__PROT": "1"},
            "environment DBOPT_GATEWAY__PROT: gateway.prot: there is no such key. Did you mean "
            "gateway.port?",
        ),
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str], said: str) -> None:
    assert str(refusal(env=env)).startswith(said)


def test_variables_of_others_are_left_alone() -> None:
    assert Settings() == load(env={"DBOPT_CONFIG": "x", "DBOPT_TEST_DSN": "y", "PGHOST": "z"})


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("trace.slow", "--set trace.slow: has no value. Write --set section.key=value."),
        ("trace.slwo=5", "--set: trace.slwo: there is no such key. Did you mean trace.slow?"),
        ("trace.slow=fast", '--set: trace.slow: found "fast"; allowed is a number of at least 0'),
        (DSN, "--set: found no key."),
        (f"{DSN}?sslmode=require", "--set: found no key."),
        (f"server.dns={DSN}", "--set: server.dns: there is no such key. Did you mean server.dsn?"),
        ("", "--set: found no key."),
    ],
)
def test_a_wrong_override_is_named(item: str, said: str) -> None:
    assert str(refusal(overrides=[item])).startswith(said)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert "host=x dbname=y" == load(overrides=["server.dsn=host=x dbname=y"]).server.dsn


# Secrets


@pytest.mark.parametrize("key", ["server.dsn", "store.dsn"])
@pytest.mark.parametrize("value", [f'["{DSN}"]', f'{{ password = "{SECRET}" }}', f'[["{DSN}"]]'])
def test_a_secret_of_a_wrong_type_is_not_shown(key: str, value: str, write: Write) -> None:
    assert f"{key}: found ********; allowed is a string." in str(refusal(write(f"{key} = {value}")))


@pytest.mark.parametrize(
    "text",
    [
        f'[server]\ndns = "{DSN}"',
        f'[sever]\ndsn = "{DSN}"',
        f'[server]\ndsn = "{DSN}',
        f"[server]\ndsn = {DSN}",
        f'[server]\ndsn = "{DSN}" {SECRET}',
        f'server = "{DSN}"',
        f'[server]\ndsn = "{DSN}"\ndsn = "{DSN}"',
    ],
)
def test_no_error_shows_a_secret(text: str, write: Write) -> None:
    refusal(write(text))


def test_a_secret_is_masked_and_an_empty_one_is_not() -> None:
    dsn = TABLE["server.dsn"]
    assert ("********", "") == (shown(dsn, DSN), shown(dsn, ""))
    assert "x" == shown(TABLE["gateway.host"], "x")


# Sections of many


def test_sections_of_many(write: Write) -> None:
    path = write(
        '[databases.app]\nmax_size = 5\nport = 5433\n[databases."*"]\n'
        '[databases."a.b"]\nhost = "h"\n[users]\nu.mode = "session"\n'
        "v = { query_timeout = 3 }\n[applications.web]\nweight = 2"
    )
    settings = load(path)
    assert {
        "app": Database(max_size=5, port="5433"), "*": Database(), "a.b": Database(host="h"),
    } == settings.databases  # fmt: skip
    assert {"u": User(mode="session"), "v": User(query_timeout=3.0)} == settings.users
    assert {"web": Application(2.0)} == settings.applications


def test_sections_of_many_at_the_top(write: Write) -> None:
    path = write("databases.app.max_size = 5\ndatabases.app.min_size = 1\nusers = {}")
    assert {"app": Database(max_size=5, min_size=1)} == load(path).databases


def test_overrides_of_sections_of_many(write: Write) -> None:
    path = write('[databases.app]\nmax_size = 5\nhost = "h"')
    overrides = [
        "databases.app.max_size=6", "databases.*.max_size=7", "databases.a.b.dsn=host=x user=y",
        "users.u v.mode=session", "applications.web.weight=2",
    ]  # fmt: skip
    settings = load(path, {}, overrides)
    assert {
        "app": Database(max_size=6, host="h"), "*": Database(max_size=7),
        "a.b": Database(dsn="host=x user=y"),
    } == settings.databases  # fmt: skip
    assert {"u v": User(mode="session")} == settings.users
    assert {"web": Application(2.0)} == settings.applications


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[databases.app]\nmax_sise = 5",
            "2: databases.app.max_sise: there is no such key. Did you mean databases.app.max_size?",
        ),
        (
            "[users.u]\nmax_idle = 5",
            "2: users.u.max_idle: there is no such key.",
        ),
        ("\n[databses.app]\n", "2: databses: there is no such section. Did you mean databases?"),
        (
            '[databases]\napp = "host=x password=hunter2"',
            "2: databases.app: is a section, and no setting. Write [databases.app].",
        ),
        ("\ndatabases = 5", "2: databases: is a section, and no setting."),
        ("\n[[databases]]", "2: databases: is a section, and no setting."),
        ("\n[[databases.app]]", "2: databases.app: is a section, and no setting."),
        (
            "[databases.app]\n\nmax_size = 0",
            "3: databases.app.max_size: found 0; allowed is a whole number from 1 to 10000. Left "
            "out, it is inherited.",
        ),
        ('[databases.app]\nmax_size = "5"', '2: databases.app.max_size: found "5"; allowed is'),
        ("[databases.app]\nport = true", "2: databases.app.port: found true; allowed is a str"),
        ("[databases.app]\nhost = 5", "2: databases.app.host: found 5; allowed is a string."),
        (
            '[databases.app]\nmode = "foo"',
            '2: databases.app.mode: found "foo"; allowed is one of "transaction", "session"',
        ),
        ("[databases.app]\ndsn = 5", "2: databases.app.dsn: found ********; allowed is"),
        (
            '[databases.app]\npassword = ["hunter2"]',
            "2: databases.app.password: found ********; allowed is a string.",
        ),
        (
            "[databases.app.max_size]\nx = 5",
            "1: databases.app.max_size: found {",
        ),
        (
            "[applications.web]\nweight = 0",
            "2: applications.web.weight: found 0; allowed is a number from 0.001 to 1000 (shares).",
        ),
        ("applications.web.weight = nan", "1: applications.web.weight: found NaN; allowed is"),
        (
            '[databases."a.b"]\nmax_size = 0',
            "2: databases.a.b.max_size: found 0;",
        ),
        (
            "[databases.b]\nmax_size = 1\n[databases.app]\nmax_size = 0",
            "4: databases.app.max_size: found 0;",
        ),
        (
            "[databases]\nb = {max_size = 1}\napp = {max_size = 0}",
            "3: databases.app.max_size: found 0;",
        ),
    ],
)
def test_what_is_wrong_in_a_section_of_many(text: str, said: str, write: Write) -> None:
    path = write(text)
    assert str(refusal(path)).startswith(f"{path}:{said}")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("databases.app=5", "--set: databases.app: there is no such key."),
        ("databases=5", "--set: databases: there is no such key."),
        (
            "databases.app.max_sise=5",
            "--set: databases.app.max_sise: there is no such key. Did you ",
        ),
        (
            "databases.app.max_size=x",
            '--set: databases.app.max_size: found "x"; allowed is a whole',
        ),
        ("databases.app.=x", "--set: databases.app.: there is no such key."),
        (f"databases.app.password{SECRET}", "--set databases.app.password"),
    ],
)
def test_a_wrong_override_of_a_section_of_many(item: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=[item])
    assert str(caught.value).startswith(said)


def test_no_variable_sets_a_section_of_many() -> None:
    said = refusal(env={"DBOPT_DATABASES__APP": SECRET})
    assert str(said).startswith("environment DBOPT_DATABASES__APP: no variable sets a key of")


def test_many_sections_are_read_in_little_time(write: Write) -> None:
    path = write("".join(f"[databases.d{i}]\nmax_size = {i % 9 + 1}\n" for i in range(20_000)))
    found = configfile.sources(path, {}, ())
    assert Found(1, f"{path}:36002") == found["databases.d18000.max_size"]


# Reload


def test_a_reload_takes_what_may_change() -> None:
    new = Settings(trace=Trace(slow=5.0, max_slow=7), gateway=Gateway(port=1))

    settings, ignored = merged(Settings(), new)

    assert Settings(trace=Trace(slow=5.0)) == settings
    assert ["gateway.port", "trace.max_slow"] == ignored


def test_a_reload_takes_the_sections_of_many_as_they_are() -> None:
    old = Settings(databases={"a": Database(max_size=1)}, users={"u": User()})
    new = Settings(databases={"b": Database()}, applications={"web": Application(2.0)})
    assert (new, []) == merged(old, new)


def test_a_reload_of_the_same_changes_nothing() -> None:
    assert (Settings(), []) == merged(Settings(), Settings())


@KEYS
def test_each_setting_reloads_as_it_says(setting: Setting) -> None:
    others = {int: 7, float: 0.9, bool: not setting.default, str: "/else"}
    value = setting.choices[-1] if setting.choices else others[setting.type]
    section = type(getattr(Settings(), setting.section))(**{setting.name: value})
    new = Settings(**{setting.section: section})
    if value == setting.default:
        value = setting.choices[0] if setting.choices else value

    settings, ignored = merged(Settings(), new)

    assert ([] if setting.reload else [setting.key]) == ignored
    assert (value if setting.reload else setting.default) == value_of(settings, setting)
