from __future__ import annotations

import subprocess
import sys

from dbopt.wire import types


def test_no_two_frontend_types_are_the_same() -> None:
    values = [value for name, value in vars(types).items() if name.startswith("F_")]
    assert len(values) == len(set(values)) == 14


def test_no_two_backend_types_are_the_same() -> None:
    values = [value for name, value in vars(types).items() if name.startswith("B_")]
    assert len(values) == len(set(values)) == 24


def test_versions_and_request_codes() -> None:
    assert (types.PROTOCOL_3_0, types.PROTOCOL_3_2) == (196608, 196610)
    codes = (types.CANCEL_REQUEST, types.SSL_REQUEST, types.GSSENC_REQUEST)
    assert codes == (80877102, 80877103, 80877104)


def test_limits() -> None:
    assert types.max_frontend_length(types.F_SYNC) == 10_000
    assert types.max_frontend_length(types.F_QUERY) == 0x3FFFFFFE
    assert types.max_backend_length(types.B_READY_FOR_QUERY) == 30_000
    assert types.max_backend_length(types.B_DATA_ROW) == 0x3FFFFFFE


def test_the_builders_import_no_dataclass_and_no_io() -> None:
    code = "import sys, dbopt.wire.encode, dbopt.wire.scan; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set() == loaded & {"dataclasses", "asyncio", "socket", "psycopg", "scramp"}


def test_the_messages_import_no_io() -> None:
    code = "import sys, dbopt.wire.codec, dbopt.wire.md5; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set() == set(done.stdout.split()) & {"asyncio", "socket", "psycopg", "scramp"}
