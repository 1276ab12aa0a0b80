from __future__ import annotations

import pytest

from dbopt.web.guard import allowed_hosts, bracketed, is_loopback, without_port


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8432", "localhost"), ("LocalHost", "localhost"), ("[::1]:8432", "[::1]"),
        ("[::1]", "[::1]"), ("evil.example:80", "evil.example"), ("", ""), (":80", ""),
        ("127.0.0.1:x", "127.0.0.1:x"), ("localhost@evil:1", "localhost@evil"),
    ],
)  # fmt: skip
def test_without_port(header: str, name: str) -> None:
    assert name == without_port(header)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_few_names_are_allowed(host: str) -> None:
    hosts = allowed_hosts(host)
    assert hosts is not None
    assert {"localhost", "127.0.0.1", "[::1]", bracketed(host)} == hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "db.internal", ""])  # noqa: S104 - names only
def test_elsewhere_any_name_is(host: str) -> None:
    assert not is_loopback(host)
    assert allowed_hosts(host) is None
