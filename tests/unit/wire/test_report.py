from __future__ import annotations

from dbopt.wire.messages import ErrorResponse, NoticeResponse


def test_fields_keep_their_order() -> None:
    error = ErrorResponse.parse(b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0")
    assert list(error.fields) == ["S", "V", "C", "M"]
    assert (error.severity, error.sqlstate, error.message) == ("FATAL", "57P01", "bye")


def test_a_translated_severity_does_not_count() -> None:
    error = ErrorResponse({"S": b"FEHLER", "V": b"ERROR"})
    assert error.severity == "ERROR"


def test_an_error_without_anything() -> None:
    error = ErrorResponse.parse(b"\0")
    assert (error.severity, error.sqlstate, error.message) == ("ERROR", "XX000", "")


def test_a_hostile_sqlstate_and_severity() -> None:
    error = ErrorResponse({"S": b"\xff\n", "C": b"42\n01", "M": b"\xff\xfe"})
    assert (error.severity, error.sqlstate) == ("ERROR", "XX000")
    assert error.message == "\ufffd\ufffd"


def test_a_notice_is_no_error() -> None:
    assert NoticeResponse({}).severity == "NOTICE"
