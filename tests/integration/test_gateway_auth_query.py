"""auth_query, and logging in to the server with what the client has proved."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.gateway.scram import make_verifier
from dbopt.settings import Database
from dbopt.wire import encode
from tests.fix_gateway import Gateway, GatewayFactory
from tests.fix_pg import Server, embedded, fresh_database
from tests.integration.gateway_support import connected, fields, sqlstates
from tests.support import unused_port, wait_until

Connection = psycopg.Connection[Any]
PASSWORD = "it's a s\u00e9cret"
KEEPER_PASSWORD = "keeper's"
AUTH_QUERY = (
    "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END "
    "FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin"
)
COUNTED = "SELECT * FROM public.counted($1)"
ROLES = {
    "scram_user": ("scram-sha-256", "LOGIN"),
    "md5_user": ("md5", "LOGIN"),
    "expired": ("scram-sha-256", "LOGIN VALID UNTIL '2001-01-01'"),
    "valid": ("scram-sha-256", "LOGIN VALID UNTIL '2999-01-01'"),
    "group_role": ("scram-sha-256", "NOLOGIN"),
    "x' OR '1'='1": ("scram-sha-256", "LOGIN"),
    'UPPER \u00e9 "quoted"': ("scram-sha-256", "LOGIN"),
}
SETUP = """
GRANT SELECT ON pg_catalog.pg_authid TO keeper;
CREATE SEQUENCE public.asked;
GRANT ALL ON SEQUENCE public.asked TO PUBLIC;
CREATE FUNCTION public.counted(name) RETURNS TABLE (a name, b text) LANGUAGE sql VOLATILE
SECURITY DEFINER AS $$ SELECT rolname, rolpassword FROM pg_catalog.pg_authid
WHERE rolname = $1 AND rolcanlogin AND nextval('public.asked') > 0 $$;
"""


@pytest.fixture(scope="module")
def md5_backend() -> Iterator[Server]:
    """A server that asks for a password by SCRAM or md5, as the user's secret is."""
    with embedded(auth="scram-sha-256") as server:
        assert server.cluster is not None
        (server.cluster.data_dir / "pg_hba.conf").write_text("host all all all md5\n")
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET log_min_messages = 'error'")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("SET md5_password_warnings = off")
            password = sql.Literal(KEEPER_PASSWORD)
            connection.execute(sql.SQL("CREATE ROLE keeper LOGIN PASSWORD {}").format(password))
            for name, (kind, options) in ROLES.items():
                connection.execute(f"SET password_encryption = '{kind}'")
                text = sql.SQL("CREATE ROLE {} PASSWORD {} " + options)
                connection.execute(text.format(sql.Identifier(name), sql.Literal(PASSWORD)))
        yield server


@pytest.fixture
def dsn(md5_backend: Server) -> Iterator[str]:
    """A new database, in which keeper may ask for secrets."""
    with fresh_database(md5_backend) as found:
        with psycopg.connect(found, autocommit=True) as connection:
            connection.execute(SETUP)
        yield found


@pytest.fixture
def pg_dsn(dsn: str) -> str:
    """For `make_gateway`, which would make a database on another server."""
    return dsn


@pytest.fixture
def admin(dsn: str) -> Iterator[Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def make_asking(
    make_gateway: GatewayFactory, dsn: str, userlist: Callable[[str], str]
) -> Callable[..., Gateway]:
    """Starts gateways that ask with AUTH_QUERY as keeper, whose password the user list has."""
    path = userlist(f'"keeper" "{KEEPER_PASSWORD}"\n"listed" "{PASSWORD}"\n')

    def make(query: str = AUTH_QUERY, **overrides: Any) -> Gateway:
        settings: dict[str, Any] = {
            "gateway__auth_type": "scram-sha-256",
            "gateway__userlist": path,
            "gateway__auth_query": query,
            "gateway__auth_user": "keeper",
        }
        return make_gateway(overrides.pop("dsn", dsn), **{**settings, **overrides})

    return make


def user_of(gateway: Gateway, user: str, password: str = PASSWORD, **parameters: Any) -> str:
    """Log in; gives who the server says it is."""
    with gateway.connect(user=user, password=password, **parameters) as connection:
        (found,) = connection.execute("SELECT current_user").fetchone() or ("",)
        return str(found)


def refused(gateway: Gateway, user: str, password: str = PASSWORD, **parameters: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        user_of(gateway, user, password, **parameters)
    return str(caught.value).partition("FATAL:")[2].strip()


def asked(admin: Connection) -> int:
    (value, called) = admin.execute(
        "SELECT last_value, is_called FROM public.asked"
    ).fetchone() or (
        0,
        False,
    )
    return int(value) if called else 0


# Who gets in


@pytest.mark.parametrize(
    ("auth_type", "user"),
    [
        ("scram-sha-256", "scram_user"),
        ("scram-sha-256", "valid"),
        ("scram-sha-256", "x' OR '1'='1"),
        ("scram-sha-256", 'UPPER \u00e9 "quoted"'),
        ("md5", "scram_user"),
        ("md5", "md5_user"),
        ("plain", "scram_user"),
        ("plain", "md5_user"),
    ],
)
def test_auth_query_and_pass_through(
    make_asking: Callable[..., Gateway], auth_type: str, user: str
) -> None:
    gateway = make_asking(gateway__auth_type=auth_type)
    assert user == user_of(gateway, user)


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain"])
@pytest.mark.parametrize("user", ["scram_user", "expired", "group_role", "nobody", "keeper"])
def test_who_does_not_get_in_fails_identically(
    make_asking: Callable[..., Gateway], auth_type: str, user: str
) -> None:
    """CVE-2025-2291 (VALID UNTIL); keeper is in the user list, with another password."""
    gateway = make_asking(gateway__auth_type=auth_type)
    password = "wrong" if user == "scram_user" else PASSWORD
    assert f'password authentication failed for user "{user}"' == refused(gateway, user, password)


def test_a_name_that_is_no_text_fails_identically(make_asking: Callable[..., Gateway]) -> None:
    """The server cannot even compare it. Its error is no business of who has not logged in."""
    gateway = make_asking(gateway__auth_type="plain")
    database = str(conninfo_to_dict(gateway.dsn())["dbname"])
    for user in ("no\udcff\udcfe", "nobody"):
        with connected(gateway.host, gateway.port) as raw:
            raw.send(encode.startup({"user": user, "database": database}))
            assert (b"R", b"\0\0\0\x03") == raw.read()
            raw.send(encode.password(b"x"))
            assert ["28P01"] == sqlstates(raw.rest())


def test_an_unknown_database_fails_as_a_wrong_password(make_asking: Callable[..., Gateway]) -> None:
    told = refused(make_asking(), "scram_user", dbname="no_such_database")
    assert 'password authentication failed for user "scram_user"' == told


def test_a_known_user_is_told_of_an_unknown_database_after_authentication(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    admin.execute(sql.SQL("CREATE ROLE listed LOGIN PASSWORD {}").format(sql.Literal(PASSWORD)))
    try:
        gateway = make_asking()
        told = refused(gateway, "listed", "wrong", dbname="no_such_database")
        assert "password authentication failed" in told
        assert "does not exist" in refused(gateway, "listed", dbname="no_such_database")
    finally:
        admin.execute("DROP ROLE listed")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'keeper'::name, rolpassword FROM pg_catalog.pg_authid WHERE $1::name IS NOT NULL "
        "AND rolname = 'scram_user'",
        "SELECT NULL::name, rolpassword FROM pg_catalog.pg_authid WHERE $1::name IS NOT NULL "
        "AND rolname = 'scram_user'",
        "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE $1::name IS NOT NULL",
        "SELECT $1::name",
        "SELECT $1::name, NULL::text",
        "SELECT $1::name, ''::text",
        "SELECT $1::name, 'SCRAM-SHA-256$broken'::text",
    ],
)
def test_never_become_auth_user_cve_2015_6817(
    make_asking: Callable[..., Gateway], query: str
) -> None:
    gateway = make_asking(query)
    for user in ("keeper", "scram_user", "nobody"):
        assert "password authentication failed" in refused(gateway, user)


def test_auth_user_is_not_found_by_its_own_query(
    make_asking: Callable[..., Gateway], dsn: str
) -> None:
    """The user list lacks it: its password comes from the connection string."""
    own = make_conninfo(dsn, user="keeper", password=KEEPER_PASSWORD)
    gateway = make_asking(dsn=own, gateway__auth_user="", gateway__userlist="")
    assert "scram_user" == user_of(gateway, "scram_user")
    assert "password authentication failed" in refused(gateway, "keeper", KEEPER_PASSWORD)


def test_safe_search_path_cve_2025_12819(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    """Neither the client's search_path nor the role's own leads auth_query elsewhere."""
    admin.execute("CREATE SCHEMA evil")
    admin.execute("GRANT USAGE ON SCHEMA evil TO PUBLIC")
    verifier = sql.Literal(str(make_verifier("the attacker's")))
    admin.execute(
        sql.SQL(
            "CREATE VIEW evil.pg_shadow AS SELECT 'scram_user'::name usename, {} passwd"
        ).format(verifier)
    )
    admin.execute("GRANT SELECT ON evil.pg_shadow TO PUBLIC")
    admin.execute("GRANT SELECT ON pg_catalog.pg_shadow TO keeper")
    admin.execute("ALTER ROLE keeper SET search_path = evil, pg_catalog")
    try:
        gateway = make_asking("SELECT usename, passwd FROM pg_shadow WHERE usename = $1")
        for parameters in ({}, {"options": "-c search_path=evil,pg_catalog"}):
            told = refused(gateway, "scram_user", "the attacker's", **parameters)
            assert "password authentication failed" in told
            assert "scram_user" == user_of(gateway, "scram_user", **parameters)
    finally:
        admin.execute("ALTER ROLE keeper RESET search_path")


@pytest.fixture
def served(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["dbname"])


def test_a_database_by_another_name(make_asking: Callable[..., Gateway], served: str) -> None:
    """auth_query runs in the client's own database, wherever that is."""
    gateway = make_asking(databases={"shop": Database(dbname=served)})
    with gateway.connect(user="scram_user", password=PASSWORD, dbname="shop") as connection:
        assert (served,) == connection.execute("SELECT current_database()").fetchone()


def test_unknown_user_or_database_fails_identically_after_the_whole_exchange(
    make_asking: Callable[..., Gateway], served: str
) -> None:
    gateway = make_asking(databases={"shop": Database(dbname=served)})
    told = {
        refused(gateway, user, password, dbname=database).replace(user, "USER")
        for user, password, database in (
            ("scram_user", "wrong", "shop"),
            ("nobody", PASSWORD, "shop"),
            ("scram_user", PASSWORD, "nowhere"),
            ("nobody", PASSWORD, "nowhere"),
            ("listed", "wrong", "nowhere"),
        )
    }
    assert {'password authentication failed for user "USER"'} == told
    assert 'database "nowhere" does not exist' == refused(gateway, "listed", dbname="nowhere")


def test_a_database_with_a_user_of_its_own(
    make_asking: Callable[..., Gateway], md5_backend: Server, served: str
) -> None:
    """What the client proved is its own: it logs nobody else in."""
    assert md5_backend.cluster is not None
    own = Database(dbname=served, user="postgres", password=md5_backend.cluster.password)
    gateway = make_asking(databases={"shop": own})
    assert "postgres" == user_of(gateway, "scram_user", dbname="shop")
    assert "password authentication failed" in refused(gateway, "postgres", dbname="shop")


# What is kept


def test_answers_are_kept(make_asking: Callable[..., Gateway], admin: Connection) -> None:
    gateway = make_asking(COUNTED)
    for _ in range(3):
        assert "scram_user" == user_of(gateway, "scram_user")
    assert 1 == asked(admin)


def test_answers_are_not_kept(make_asking: Callable[..., Gateway], admin: Connection) -> None:
    gateway = make_asking(COUNTED, gateway__auth_cache=0.0)
    for _ in range(3):
        assert "scram_user" == user_of(gateway, "scram_user")
    assert 3 == asked(admin)


def test_logins_at_the_same_time_ask_once(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    gateway = make_asking("SELECT c.* FROM public.counted($1) c, pg_sleep(0.3)", pool__max_size=2)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(user_of(gateway, "scram_user")))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["scram_user"] * 20 == found
    assert 1 == asked(admin)


def test_a_password_change_is_found_after_a_failed_login(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    """And stale keys are dropped: the server connections are opened with the new ones."""
    gateway = make_asking(gateway__auth_cache=3600.0)
    admin.execute("SET password_encryption = 'scram-sha-256'")
    assert "scram_user" == user_of(gateway, "scram_user")
    try:
        admin.execute("ALTER ROLE scram_user PASSWORD 'changed'")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scram_user'"
        )

        def changed() -> bool:
            try:
                return user_of(gateway, "scram_user", "changed") == "scram_user"
            except psycopg.OperationalError:
                return False

        wait_until(changed, what="the new password")
        assert "password authentication failed" in refused(gateway, "scram_user", PASSWORD)
    finally:
        text = sql.SQL("ALTER ROLE scram_user PASSWORD {}")
        admin.execute(text.format(sql.Literal(PASSWORD)))


@pytest.mark.parametrize("auth_type", ["plain", "md5"])
def test_a_password_change_is_found_within_the_login_itself(
    make_asking: Callable[..., Gateway], admin: Connection, auth_type: str
) -> None:
    gateway = make_asking(gateway__auth_type=auth_type, gateway__auth_cache=3600.0)
    admin.execute("SET password_encryption = 'md5'; SET md5_password_warnings = off")
    assert "md5_user" == user_of(gateway, "md5_user")
    then = time.monotonic()
    try:
        admin.execute("ALTER ROLE md5_user PASSWORD 'changed'")
        wait_until(lambda: time.monotonic() - then > 1.05, what="the answer to be old")
        assert "md5_user" == user_of(gateway, "md5_user", "changed")
        assert "password authentication failed" in refused(gateway, "md5_user")
    finally:
        text = sql.SQL("ALTER ROLE md5_user PASSWORD {}")
        admin.execute(text.format(sql.Literal(PASSWORD)))


def test_a_new_user_is_found_though_it_was_not_there(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    gateway = make_asking(gateway__auth_cache=3600.0)
    assert "password authentication failed" in refused(gateway, "newcomer")
    admin.execute("CREATE ROLE newcomer LOGIN PASSWORD 'x'")
    try:
        wait_until(lambda: _enters(gateway, "newcomer"), what="the new user")
    finally:
        admin.execute("DROP ROLE newcomer")


def _enters(gateway: Gateway, user: str) -> bool:
    try:
        return user_of(gateway, user, "x") == user
    except psycopg.OperationalError:
        return False


# What goes wrong


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """It takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.setblocking(False)
        yield listening


def connections(silent: socket.socket) -> int:
    """How many have come so far."""
    found = 0
    with suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            found += 1
    return found


def test_a_server_that_is_away(make_asking: Callable[..., Gateway], dsn: str) -> None:
    with unused_port() as port:
        gateway = make_asking(dsn=make_conninfo(dsn, port=port))
        with connected(gateway.host, gateway.port) as raw:
            found = raw.login(user="scram_user", database="postgres")
    assert ["08006"] == sqlstates(found)
    assert str(port) not in str(found)  # who is not let in need not know the server
    assert "auth_query" in fields(found[-1])["M"]


def test_a_server_that_is_silent_holds_up_nobody_for_long(
    make_asking: Callable[..., Gateway], dsn: str, silent: socket.socket
) -> None:
    """Ten users wait for two connections: not each finds out anew that there is none."""
    away = make_conninfo(dsn, port=silent.getsockname()[1])
    gateway = make_asking(dsn=away, server__connect_timeout=0.5)
    told: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: told.append(refused(gateway, f"user{n}")))
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 10 == sum("auth_query failed" in text for text in told), told
    assert 1 <= connections(silent) <= 5


@pytest.mark.parametrize("query", ["SELECT nonsense", "SELECT 1/0, $1::text", "SELECT usename"])
def test_a_query_that_fails(make_asking: Callable[..., Gateway], query: str) -> None:
    gateway = make_asking(query)
    with connected(gateway.host, gateway.port) as raw:
        found = raw.login(user="scram_user", database="postgres")
        assert ["08006"] == sqlstates(found)
        assert "nonsense" not in str(found)


def test_a_client_that_leaves_while_it_is_looked_up(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    gateway = make_asking("SELECT c.* FROM public.counted($1) c, pg_sleep(0.2)")
    for _ in range(5):
        with connected(gateway.host, gateway.port) as raw:
            (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
            raw.send(encode.startup({"user": "scram_user", "database": str(database)}))
    assert "scram_user" == user_of(gateway, "scram_user")
    assert 1 == asked(admin)


def test_its_connections_are_few_and_closed_when_unused(
    make_asking: Callable[..., Gateway], admin: Connection
) -> None:
    gateway = make_asking(gateway__auth_cache=0.0)
    for _ in range(5):
        user_of(gateway, "scram_user")
    text = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'keeper'"
    wait_until(lambda: admin.execute(text).fetchone() == (1,), what="one, and none of the others")
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'")
    assert "scram_user" == user_of(gateway, "scram_user")


# Pass-through without auth_query


def test_scram_pass_through_needs_identical_salt_and_iterations(
    make_gateway: GatewayFactory, dsn: str, admin: Connection, userlist: Callable[[str], str]
) -> None:
    text = "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'"
    (same,) = admin.execute(text).fetchone() or ("",)
    settings = {"gateway__auth_type": "scram-sha-256"}
    gateway = make_gateway(dsn, gateway__userlist=userlist(f'"scram_user" "{same}"'), **settings)
    assert "scram_user" == user_of(gateway, "scram_user")
    other = make_verifier(PASSWORD)
    gateway = make_gateway(dsn, gateway__userlist=userlist(f'"scram_user" "{other}"'), **settings)
    told = refused(gateway, "scram_user")
    assert PASSWORD not in told
    assert "scram_user" in told
