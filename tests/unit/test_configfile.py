from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbopt import configfile
from dbopt.configcheck import is_loopback
from dbopt.configfile import load, merged, shown
from dbopt.configsample import sample
from dbopt.errors import ConfigError
from dbopt.settings import TABLE, Gateway, Setting, Settings, Trace
from dbopt.tomlplaces import Places

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


# The sample


def test_the_sample_is_the_repositorys_configuration() -> None:
    assert sample() == (ROOT / "config.toml").read_text(encoding="utf-8")


def test_the_sample_as_it_is_changes_nothing(write: Write) -> None:
    assert Settings() == load(write(sample()))


def test_the_sample_with_every_line_switched_on_gives_the_defaults(write: Write) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", sample(), flags=re.MULTILINE)

    document = tomllib.loads(text)
    assert list(TABLE) == [f"{s}.{n}" for s, names in document.items() for n in names]
    assert Settings() == load(write(text))


@KEYS
def test_each_key_of_the_sample_is_found_on_its_line(setting: Setting, write: Write) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", sample(), flags=re.MULTILINE)
    line = Places(text).line(setting.section, setting.name)
    assert text.splitlines()[line - 1].startswith(f"{setting.name} = ")

    lines = text.splitlines()
    lines[line - 1] = f"{setting.name} = {{}}"
    path = write("\n".join(lines))
    assert str(refusal(path)).startswith(f"{path}:{line}: {setting.key}: found ")


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


# Checks of several together


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "pool.min_size = 30",
            "1: pool.min_size: found 30; allowed is at most pool.max_size, 20. Lower pool.min_size "
            "or raise pool.max_size.",
        ),
        (
            'gateway.auth_type = "scram-sha-256"',
            '1: gateway.auth_type: found "scram-sha-256" without gateway.userlist and without',
        ),
        (
            'gateway.host = "0.0.0.0"',
            '1: gateway.host: found "0.0.0.0", which is not loopback, with gateway.auth_type',
        ),
        ('gateway.host = ""', "1: gateway.host: is empty, and so is gateway.unix_socket_dir"),
        (
            'gateway.port = 0\ngateway.host = ""\ngateway.unix_socket_dir = "/run"',
            "1: gateway.port: found 0; without TCP allowed is 1 to 65535",
        ),
    ],
)
def test_what_cannot_be_true_together(text: str, said: str, write: Write) -> None:
    path = write(text)
    assert str(refusal(path)).startswith(f"{path}:{said}")


def test_a_default_that_cannot_be_true_any_more(write: Write) -> None:
    assert "default: pool.min_size: found 2" in str(refusal(write("pool.max_size = 1")))


@pytest.mark.parametrize(
    "text",
    [
        'gateway.host = "0.0.0.0"\ngateway.trust_remote = true',
        'gateway.host = "0.0.0.0"\ngateway.auth_type = "scram-sha-256"\ngateway.userlist = "u"',
        'gateway.host = ""\ngateway.unix_socket_dir = "/run"',
        'gateway.host = "127.8.8.8"',
        "pool.min_size = 0\npool.max_size = 1",
    ],
)
def test_what_can_be_true_together(text: str, write: Write) -> None:
    load(write(text))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False),  # noqa: S104
        ("localhost.example.org", False), ("*", False),
    ],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


# Reload


def test_a_reload_takes_what_may_change() -> None:
    new = Settings(trace=Trace(slow=5.0, max_slow=7), gateway=Gateway(port=1))

    settings, ignored = merged(Settings(), new)

    assert Settings(trace=Trace(slow=5.0)) == settings
    assert ["gateway.port", "trace.max_slow"] == ignored


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
