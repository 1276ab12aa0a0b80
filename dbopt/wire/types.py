"""The numbers of PostgreSQL protocol 3: message types, request codes and limits.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html. Plain integers,
not an IntEnum: the relay compares them with bytes of a buffer, millions a second.
"""

from __future__ import annotations

from typing import Final

# What a client sends.
F_BIND: Final = 0x42  # B
F_CLOSE: Final = 0x43  # C
F_COPY_DATA: Final = 0x64  # d
F_COPY_DONE: Final = 0x63  # c
F_COPY_FAIL: Final = 0x66  # f
F_DESCRIBE: Final = 0x44  # D
F_EXECUTE: Final = 0x45  # E
F_FLUSH: Final = 0x48  # H
F_FUNCTION_CALL: Final = 0x46  # F
F_PARSE: Final = 0x50  # P
F_PASSWORD: Final = 0x70  # p: password, SASL and GSSAPI responses share it
F_QUERY: Final = 0x51  # Q
F_SYNC: Final = 0x53  # S
F_TERMINATE: Final = 0x58  # X

# What a server sends.
B_AUTHENTICATION: Final = 0x52  # R
B_BACKEND_KEY_DATA: Final = 0x4B  # K
B_BIND_COMPLETE: Final = 0x32  # 2
B_CLOSE_COMPLETE: Final = 0x33  # 3
B_COMMAND_COMPLETE: Final = 0x43  # C
B_COPY_BOTH: Final = 0x57  # W
B_COPY_DATA: Final = 0x64  # d
B_COPY_DONE: Final = 0x63  # c
B_COPY_IN: Final = 0x47  # G
B_COPY_OUT: Final = 0x48  # H
B_DATA_ROW: Final = 0x44  # D
B_EMPTY_QUERY: Final = 0x49  # I
B_ERROR: Final = 0x45  # E
B_FUNCTION_RESULT: Final = 0x56  # V
B_NEGOTIATE: Final = 0x76  # v
B_NO_DATA: Final = 0x6E  # n
B_NOTICE: Final = 0x4E  # N
B_NOTIFICATION: Final = 0x41  # A
B_PARAMETER_DESCRIPTION: Final = 0x74  # t
B_PARAMETER_STATUS: Final = 0x53  # S
B_PARSE_COMPLETE: Final = 0x31  # 1
B_PORTAL_SUSPENDED: Final = 0x73  # s
B_READY_FOR_QUERY: Final = 0x5A  # Z
B_ROW_DESCRIPTION: Final = 0x54  # T

# The transaction status that ReadyForQuery carries.
IDLE: Final = 0x49  # I
IN_TRANSACTION: Final = 0x54  # T
IN_ERROR: Final = 0x45  # E

# Protocol versions and request codes: the first word of a packet that has no type.
PROTOCOL_3_0: Final = 3 << 16
PROTOCOL_3_2: Final = 3 << 16 | 2
CANCEL_REQUEST: Final = 1234 << 16 | 5678
SSL_REQUEST: Final = 1234 << 16 | 5679
GSSENC_REQUEST: Final = 1234 << 16 | 5680

# What an Authentication message asks for.
AUTH_OK: Final = 0
AUTH_KERBEROS_V5: Final = 2
AUTH_CLEARTEXT_PASSWORD: Final = 3
AUTH_MD5_PASSWORD: Final = 5
AUTH_SCM_CREDENTIAL: Final = 6
AUTH_GSS: Final = 7
AUTH_GSS_CONTINUE: Final = 8
AUTH_SSPI: Final = 9
AUTH_SASL: Final = 10
AUTH_SASL_CONTINUE: Final = 11
AUTH_SASL_FINAL: Final = 12

# Limits, in bytes of payload: what follows the length word. A length is judged before a
# byte of its body is waited for.
MAX_STARTUP_LENGTH: Final = 10_000
"""PostgreSQL's MAX_STARTUP_PACKET_LENGTH (libpq/pqcomm.h)."""

MAX_AUTH_LENGTH: Final = 65_535
"""PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH (libpq/auth.h): any message before AuthenticationOk."""

MAX_SASL_LENGTH: Final = 1024
"""PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH (libpq/auth-sasl.c)."""

MAX_SMALL_LENGTH: Final = 10_000
"""PostgreSQL's PQ_SMALL_MESSAGE_LIMIT (libpq/libpq.h)."""

MAX_SHORT_BACKEND_LENGTH: Final = 30_000
"""libpq's limit for the types outside VALID_LONG_MESSAGE_TYPE (fe-protocol3.c)."""

MAX_MESSAGE_LENGTH: Final = 0x3FFFFFFE
"""PostgreSQL's PQ_LARGE_MESSAGE_LIMIT, which is MaxAllocSize - 1 (libpq/libpq.h)."""

MIN_CANCEL_KEY: Final = 4
"""Protocol 3.0's only length of a cancel key, and 3.2's shortest."""

MAX_CANCEL_KEY: Final = 256
"""Protocol 3.2's longest cancel key."""

SMALL_FRONTEND_TYPES: Final = frozenset(
    {F_CLOSE, F_COPY_DONE, F_COPY_FAIL, F_DESCRIBE, F_EXECUTE, F_FLUSH, F_SYNC, F_TERMINATE}
)
"""The types to which PostgreSQL's SocketBackend gives PQ_SMALL_MESSAGE_LIMIT."""

LONG_BACKEND_TYPES: Final = frozenset(
    {
        B_COPY_DATA,
        B_DATA_ROW,
        B_ERROR,
        B_FUNCTION_RESULT,
        B_NOTICE,
        B_NOTIFICATION,
        B_PARAMETER_DESCRIPTION,  # not in libpq's list, but 65535 parameters take 262 kB
        B_ROW_DESCRIPTION,
    }
)
"""libpq's VALID_LONG_MESSAGE_TYPE, and ParameterDescription."""


def max_frontend_length(type_: int) -> int:
    """The longest payload that a client's message of this type may have."""
    return MAX_SMALL_LENGTH if type_ in SMALL_FRONTEND_TYPES else MAX_MESSAGE_LENGTH


def max_backend_length(type_: int) -> int:
    """The longest payload that a server's message of this type may have."""
    return MAX_MESSAGE_LENGTH if type_ in LONG_BACKEND_TYPES else MAX_SHORT_BACKEND_LENGTH
