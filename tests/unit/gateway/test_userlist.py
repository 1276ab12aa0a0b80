from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.errors import ConfigError
from dbopt.gateway.scram import ScramClient, ScramServer, make_verifier
from dbopt.gateway.userlist import Secret, SecretKind, load, parse, secret_of
from dbopt.wire.md5 import md5_secret

VERIFIER = str(make_verifier("secret"))


def test_each_kind_of_secret() -> None:
    md5 = md5_secret("bob", "secret")
    users = parse(f'"alice" "secret"\n"bob" "{md5}"\n"carol" "{VERIFIER}"\n'.encode())
    assert {
        "alice": Secret(SecretKind.PLAIN, "secret"),
        "bob": Secret(SecretKind.MD5, md5),
        "carol": Secret(SecretKind.SCRAM, VERIFIER),
    } == users
    assert users.warnings == ()


@pytest.mark.parametrize(
    ("line", "user", "secret"),
    [
        (b'"a" "b"', "a", "b"),
        (b'  "a"\t "b" \r', "a", "b"),
        (b'"a" "b" ; "more" "fields"', "a", "b"),
        (b'"a""b" "c""""d"', 'a"b', 'c""d'),
        (b'"a b" "; no comment"', "a b", "; no comment"),
        ('"zoë" "pä"'.encode(), "zoë", "pä"),
        (b'"a" ""', "a", ""),
    ],
)
def test_line(line: bytes, user: str, secret: str) -> None:
    assert {user: Secret(SecretKind.PLAIN, secret)} == parse(line)


def test_comments_and_empty_lines() -> None:
    assert parse(b'\n ; "a" "b"\n\r\n;\n') == {}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"alice secret-word", "not an entry"),
        (b'"alice" secret-word', "not an entry"),
        (b'"alice" "secret-word', "not an entry"),
        (b'"alice""secret-word"', "not an entry"),
        (b'"alice" "secret-word"x', "not an entry"),
        (b'"" "secret-word"', "empty"),
        (b'"a\0b" "secret-word"', "zero byte"),
        (b'"alice" "secret-word\xff"', "not UTF-8"),
        (b'"alice" "SCRAM-SHA-256$secret-word"', "malformed SCRAM verifier"),
        (b'"alice" "secret-word' + b"x" * 9000 + b'"', "longer than 8192"),
    ],
)
def test_an_error_names_the_line_and_no_secret(line: bytes, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse(b'"ok" "ok"\n' + line + b"\n", "users.txt")
    assert caught.value.message.startswith("users.txt:2: ")
    assert "secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_user_named_twice() -> None:
    users = parse(b'"a" "1"\n"a" "2"\n', "f")
    assert {"a": Secret(SecretKind.PLAIN, "2")} == users
    assert users.warnings == ('f:2: user "a" is named again; this entry counts',)


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "userlist.txt"
    path.write_bytes(b'"a" "1"\n')
    path.chmod(0o600)
    assert load(path) == {"a": Secret(SecretKind.PLAIN, "1")}
    assert load(str(path)).warnings == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_write(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "userlist.txt"
    path.write_bytes(b'"a" "1"\n')
    path.chmod(mode)
    (warning,) = load(path).warnings
    assert warning == f"{path}: others can read or write it (mode {mode:04o}); chmod 600 {path}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the user list: No such file"):
        load(tmp_path / "none")


def test_repr_hides_the_value() -> None:
    assert "hunter2" not in repr(parse(b'"a" "hunter2"'))


@pytest.mark.parametrize("text", ["secret", VERIFIER])
def test_a_secret_lets_its_user_in(text: str) -> None:
    key = b"k" * 32
    server = ScramServer("a", secret_of(text).verifier("a", key), mock_key=key)
    client = ScramClient("secret")
    first = server.receive_first(client.mechanism, client.first())
    client.verify(server.receive_final(client.final(first)))


@pytest.mark.parametrize("text", ["", md5_secret("a", "secret")])
def test_a_secret_that_scram_cannot_use(text: str) -> None:
    assert secret_of(text).verifier("a", b"k" * 32) is None
