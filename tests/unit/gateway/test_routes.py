"""Routes: who comes first, what a connection string takes along, and which section fits."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.errors import ConfigError, UnknownDatabase
from dbopt.gateway.routes import (
    Route,
    check_database,
    check_routes,
    own_dsn,
    resolved,
    route,
    to_servers,
)
from dbopt.gateway.userlist import Secret, SecretKind, Userlist
from dbopt.settings import Application, Database, Pool, Server, Settings, User

DSN = "host=main port=5433 user=own password=p0 sslmode=prefer"
HIDDEN = "hunter2"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of libpq's own: a test must not find the developer's server."""
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


def settings_of(**parts: Any) -> Settings:
    return Settings(**{"server": Server(dsn=DSN), **parts})


def connection(own: Database | None = None, user: str = "ann", **server: Any) -> dict[str, str]:
    """What leads to database "shop", of the keys that can differ."""
    databases = {} if own is None else {"shop": own}
    settings = settings_of(server=Server(**{"dsn": DSN, **server}), databases=databases)
    found = route(settings, "shop", user).conninfo
    keys = ("host", "hostaddr", "port", "dbname", "user", "password", "sslmode")
    return {key: found[key] for key in keys if key in found}


MAIN = {"host": "main", "port": "5433", "sslmode": "prefer"}


# Which section


def test_without_sections_each_database_is_one() -> None:
    assert MAIN | {"dbname": "shop", "user": "ann"} == connection()
    check_database(settings_of(), "whatever")


def test_the_exact_name_comes_before_the_wildcard() -> None:
    sections = {"*": Database(max_size=3), "shop": Database(max_size=5)}
    settings = settings_of(databases=sections)
    assert 5 == route(settings, "shop", "ann").max_size
    assert 3 == route(settings, "else", "ann").max_size


def test_what_the_exact_section_leaves_out_is_not_the_wildcards() -> None:
    sections = {"*": Database(max_size=3, host="any"), "shop": Database()}
    found = route(settings_of(databases=sections), "shop", "ann")
    assert (Pool().max_size, "main") == (found.max_size, found.conninfo["host"])


def test_no_section_fits() -> None:
    settings = settings_of(databases={"shop": Database()})
    for ask in (lambda: route(settings, "else", "ann"), lambda: check_database(settings, "else")):
        with pytest.raises(UnknownDatabase) as caught:
            ask()
        assert ('database "else" does not exist', "3D000") == (
            str(caught.value), caught.value.sqlstate,
        )  # fmt: skip


def test_a_database_that_is_named_as_the_wildcard() -> None:
    settings = settings_of(databases={"*": Database(max_size=3)})
    assert 3 == route(settings, "*", "ann").max_size
    assert "*" == route(settings, "*", "ann").conninfo["dbname"]


# Who comes first

OF_POOLS = {f.name for f in fields(User) if not f.name.startswith("guard_")}


@pytest.mark.parametrize("name", sorted(OF_POOLS))
def test_a_user_comes_before_its_database_and_both_before_the_pool(name: str) -> None:
    values: list[Any] = [7, 8, 9] if name != "mode" else ["session", "statement", "transaction"]
    if name == "unshareable":
        values = ["refuse", "allow", "pin"]
    pool, database, user = values
    settings = settings_of(pool=replace(Pool(), **{name: pool}))
    assert pool == getattr(route(settings, "shop", "ann"), name)
    if name in {f.name for f in fields(Database)}:
        settings = replace(settings, databases={"*": Database(**{name: database})})
        assert database == getattr(route(settings, "shop", "ann"), name)
    settings = replace(settings, users={"ann": User(**{name: user})})
    assert user == getattr(route(settings, "shop", "ann"), name)
    assert user != getattr(route(settings, "shop", "bob"), name)


@pytest.mark.parametrize("name", [f.name for f in fields(Database) if hasattr(Pool(), f.name)])
def test_each_key_of_a_database_acts(name: str) -> None:
    default = getattr(Pool(), name)
    value: Any = {int: 1, float: 0.5, bool: True, str: "x, Y"}[type(default)]
    settings = settings_of(databases={"shop": Database(**{name: value})})
    expected = frozenset({"x", "y"}) if name == "track_settings" else value
    assert expected == getattr(route(settings, "shop", "ann"), name)
    assert value == resolved(settings, name, "shop", "ann")


@pytest.mark.parametrize("value", [0, 0.0, False, ""])
def test_what_is_off_for_a_database_is_not_inherited(value: Any) -> None:
    names = {int: "max_queue", float: "query_timeout", bool: "application_name_add_host"}
    name = names.get(type(value), "connect_query")
    settings = settings_of(
        pool=replace(Pool(), **{name: type(value)(9)}),
        databases={"shop": Database(**{name: value})},
    )
    assert value == getattr(route(settings, "shop", "ann"), name)


def test_every_key_of_the_pool_is_in_the_route() -> None:
    assert {f.name for f in fields(Pool)} <= {f.name for f in fields(Route)}


def test_the_route_of_the_defaults() -> None:
    settings = settings_of()
    found = route(settings, "shop", "ann")
    for f in fields(Pool):
        if f.name != "track_settings":
            assert getattr(settings.pool, f.name) == getattr(found, f.name), f.name
    assert ("shop", "ann", frozenset({"*"}), {}) == (
        found.database, found.user, found.track_settings, found.weights,
    )  # fmt: skip
    assert (5.0, 30.0, 200) == (
        found.connect_timeout, found.queue_timeout, found.prepared_statements,
    )  # fmt: skip


def test_a_minimum_that_is_inherited_gives_way() -> None:
    settings = settings_of(
        pool=Pool(min_size=4), databases={"shop": Database(max_size=3)},
        users={"ann": User(max_size=1)},
    )  # fmt: skip
    sizes = [route(settings, "shop", user) for user in ("ann", "bob")]
    assert [(1, 1), (3, 3)] == [(found.min_size, found.max_size) for found in sizes]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", set()),
        ("search_path", {"search_path"}),
        (" Work_Mem ,search_path,", {"work_mem", "search_path"}),
    ],
)
def test_settings_that_follow_a_client(given: str, expected: set[str]) -> None:
    settings = settings_of(pool=Pool(track_settings=given))
    assert expected == route(settings, "shop", "ann").track_settings


def test_weights_of_applications() -> None:
    settings = settings_of(applications={"batch": Application(0.5), "web": Application()})
    assert {"batch": 0.5, "web": 1.0} == route(settings, "shop", "ann").weights


# The connection


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (Database(), {}),
        (Database(host="b", port="7"), {"host": "b", "port": "7"}),
        (Database(host="b,c"), {"host": "b,c"}),
        (Database(dbname="app"), {"dbname": "app"}),
        (Database(sslmode="require"), {"sslmode": "require"}),
        (Database(dsn="host=b"), {"host": "b"}),
        (Database(dsn="host=b port=7", port="8"), {"host": "b", "port": "8"}),
        (Database(dsn="postgresql://b:7/app"), {"host": "b", "port": "7", "dbname": "app"}),
        (Database(dsn="dbname=app", dbname="other"), {"dbname": "other"}),
        (Database(dsn="user=svc password=p1"), {}),
        (Database(user="svc", password="p2"), {"user": "svc", "password": "p2"}),
        (Database(user="svc"), {"user": "svc"}),
        (Database(user="own"), {"user": "own", "password": "p0"}),
        (Database(dsn="user=svc password=p1", user="svc"), {"user": "svc", "password": "p1"}),
        (Database(dsn="password=p1", user="own"), {"user": "own", "password": "p1"}),
        (Database(host="", dbname=""), {}),
    ],
)
def test_a_databases_own_connection(own: Database, expected: dict[str, str]) -> None:
    assert MAIN | {"dbname": "shop", "user": "ann"} | expected == connection(own)


@pytest.mark.parametrize(
    ("own", "user", "force", "expected"),
    [
        (None, "ann", False, ("ann", None)),
        (None, "own", False, ("own", "p0")),
        (None, "ann", True, ("own", "p0")),
        (Database(user="svc"), "ann", True, ("svc", None)),
        (Database(dsn="user=svc password=p1"), "ann", True, ("svc", "p1")),
        (Database(dsn="user=svc"), "ann", True, ("svc", None)),
        (Database(dsn="user=svc"), "own", False, ("own", None)),
        (Database(dsn="user=svc password=p1"), "own", False, ("own", None)),
        (Database(dsn="user=svc password=p1"), "svc", False, ("svc", "p1")),
    ],
)
def test_a_password_goes_with_its_user_alone(
    own: Database | None, user: str, force: bool, expected: tuple[str, str | None]
) -> None:
    found = connection(own, user, force_user=force)
    assert expected == (found["user"], found.get("password"))


@pytest.mark.parametrize(
    ("dsn", "own", "expected"),
    [
        ("host=a hostaddr=10.0.0.1", Database(host="b"), {"host": "b"}),
        ("host=a hostaddr=10.0.0.1", Database(dsn="host=b"), {"host": "b"}),
        ("host=a", Database(dsn="hostaddr=10.0.0.2"), {"hostaddr": "10.0.0.2"}),
        ("host=a,b port=1,2", Database(host="c"), {"host": "c"}),
        ("host=a,b port=1,2", Database(), {"host": "a,b", "port": "1,2"}),
        ("host=a,b port=1", Database(host="c,d"), {"host": "c,d", "port": "1"}),
    ],
)
def test_an_address_goes_with_its_host(dsn: str, own: Database, expected: dict[str, str]) -> None:
    found = connection(own, dsn=dsn)
    ours = {key: value for key, value in found.items() if key in ("host", "hostaddr", "port")}
    assert {"port": "5432"} | expected == {"port": "5432"} | ours


def test_the_environment_fills_what_nobody_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "from.environment")
    assert "from.environment" == connection(Database(), dsn="")["host"]
    assert "b" == connection(Database(host="b"), dsn="")["host"]


def test_other_keys_of_libpq_are_kept() -> None:
    settings = settings_of(databases={"shop": Database(dsn="sslrootcert=/ca keepalives=0")})
    found = route(settings, "shop", "ann").conninfo
    assert ("/ca", "0") == (found["sslrootcert"], found["keepalives"])


def test_a_connection_string_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"databases\.shop\.dsn: is not a PostgreSQL") as caught:
        connection(Database(dsn=f"nonsense {HIDDEN}"))
    assert HIDDEN not in str(caught.value)


def test_a_route_does_not_show_the_password() -> None:
    settings = settings_of(databases={"*": Database(user="svc", password=HIDDEN)})
    found = route(settings, "shop", "ann")
    assert HIDDEN == found.conninfo["password"]
    assert HIDDEN not in repr(found)


def test_routes_are_equal_where_nothing_changed() -> None:
    settings = settings_of(databases={"*": Database(user="svc", max_size=2)})
    assert route(settings, "shop", "ann") == route(settings, "shop", "ann")
    other = replace(settings, databases={"*": Database(user="svc", max_size=3)})
    assert route(settings, "shop", "ann") != route(other, "shop", "ann")
    assert route(settings, "shop", "ann").conninfo == route(other, "shop", "ann").conninfo


def test_the_servers_of_a_route() -> None:
    own = Database(host="b,c", port="7", dbname="app", user="svc", target_session_attrs="primary")
    found = to_servers(route(settings_of(databases={"shop": own}), "shop", "ann"), Userlist({}))
    assert "primary" == found.session_attrs
    assert [("b", 7, "app", "svc"), ("c", 7, "app", "svc")] == [
        (host.host, host.port, host.database, host.user) for host in found.hosts
    ]


@pytest.mark.parametrize(
    ("own", "user", "expected"),
    [
        (Database(), "ann", "of ann"),
        (Database(user="svc"), "ann", "of svc"),
        (Database(user="svc", password="p2"), "ann", "p2"),
        (Database(), "own", "p0"),
        (Database(), "zoe", ""),
    ],
)
def test_the_password_of_the_settings_comes_before_the_user_lists(
    own: Database, user: str, expected: str
) -> None:
    names = ("ann", "svc", "own")
    users = Userlist({name: Secret(SecretKind.PLAIN, f"of {name}") for name in names})
    found = to_servers(route(settings_of(databases={"shop": own}), "shop", user), users)
    assert [expected] == [host.password for host in found.hosts]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, MAIN | {"dbname": "shop", "user": "own", "password": "p0"}),
        (
            Database(host="b", dbname="app"),
            MAIN | {"host": "b", "dbname": "app", "user": "own", "password": "p0"},
        ),
        (
            Database(user="svc", password="p2"),
            MAIN | {"dbname": "shop", "user": "svc", "password": "p2"},
        ),
    ],
)
def test_dbopts_own_way_to_a_database(own: Database | None, expected: dict[str, str]) -> None:
    settings = settings_of(databases={} if own is None else {"shop": own})
    found = conninfo_to_dict(own_dsn(settings, "shop"))
    assert expected == {key: found[key] for key in expected}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Database(dsn=f"nonsense {HIDDEN}"), "databases.shop: dsn: is not a PostgreSQL connection"),
        (Database(dsn="host=b port=x"), "databases.shop: port='x' is not a port."),
        (Database(dsn="host=b,c port=1,2,3"), "databases.shop: 3 ports for 2 servers."),
    ],
)
def test_a_database_that_leads_nowhere(own: Database, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_routes(settings_of(databases={"fine": Database(), "shop": own}))
    assert str(caught.value).startswith(said)
    assert HIDDEN not in str(caught.value)


def test_a_server_that_leads_nowhere_is_no_databases_fault() -> None:
    settings = settings_of(server=Server(dsn="host=b port=x"), databases={"shop": Database()})
    with pytest.raises(ConfigError, match=r"^server\.dsn: port='x' is not a port"):
        check_routes(settings)


def test_routes_that_lead_somewhere() -> None:
    check_routes(settings_of())
    check_routes(settings_of(databases={"*": Database(host="b"), "shop": Database(user="u")}))
