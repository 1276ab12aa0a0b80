"""Every message of both directions in one place, and the parser of a server's.

The classes live by subject in startup, frontend, authentication, backend and report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dbopt.errors import ProtocolError
from dbopt.wire import types
from dbopt.wire.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationMessage,
    AuthenticationOk,
    AuthenticationResponse,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSCMCredential,
    AuthenticationSSPI,
    GSSResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    parse_authentication,
)
from dbopt.wire.backend import (
    BackendKeyData,
    BindComplete,
    CloseComplete,
    Column,
    CommandComplete,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoData,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
)
from dbopt.wire.frontend import (
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FrontendMessage,
    FunctionCall,
    Parse,
    Query,
    Sync,
    Terminate,
    parse_frontend,
)
from dbopt.wire.report import ErrorResponse, NoticeResponse, NotificationResponse
from dbopt.wire.startup import (
    CancelRequest,
    FirstPacket,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    parse_startup,
)

BackendMessage = (
    AuthenticationMessage
    | BackendKeyData
    | BindComplete
    | CloseComplete
    | CommandComplete
    | CopyBothResponse
    | CopyData
    | CopyDone
    | CopyInResponse
    | CopyOutResponse
    | DataRow
    | EmptyQueryResponse
    | ErrorResponse
    | FunctionCallResponse
    | NegotiateProtocolVersion
    | NoData
    | NoticeResponse
    | NotificationResponse
    | ParameterDescription
    | ParameterStatus
    | ParseComplete
    | PortalSuspended
    | ReadyForQuery
    | RowDescription
)

_PARSERS: Final[dict[int, Callable[[bytes], BackendMessage]]] = {
    types.B_AUTHENTICATION: parse_authentication,
    types.B_BACKEND_KEY_DATA: BackendKeyData.parse,
    types.B_BIND_COMPLETE: BindComplete.parse,
    types.B_CLOSE_COMPLETE: CloseComplete.parse,
    types.B_COMMAND_COMPLETE: CommandComplete.parse,
    types.B_COPY_BOTH: CopyBothResponse.parse,
    types.B_COPY_DATA: CopyData.parse,
    types.B_COPY_DONE: CopyDone.parse,
    types.B_COPY_IN: CopyInResponse.parse,
    types.B_COPY_OUT: CopyOutResponse.parse,
    types.B_DATA_ROW: DataRow.parse,
    types.B_EMPTY_QUERY: EmptyQueryResponse.parse,
    types.B_ERROR: ErrorResponse.parse,
    types.B_FUNCTION_RESULT: FunctionCallResponse.parse,
    types.B_NEGOTIATE: NegotiateProtocolVersion.parse,
    types.B_NO_DATA: NoData.parse,
    types.B_NOTICE: NoticeResponse.parse,
    types.B_NOTIFICATION: NotificationResponse.parse,
    types.B_PARAMETER_DESCRIPTION: ParameterDescription.parse,
    types.B_PARAMETER_STATUS: ParameterStatus.parse,
    types.B_PARSE_COMPLETE: ParseComplete.parse,
    types.B_PORTAL_SUSPENDED: PortalSuspended.parse,
    types.B_READY_FOR_QUERY: ReadyForQuery.parse,
    types.B_ROW_DESCRIPTION: RowDescription.parse,
}


def parse_backend(type_: int, payload: bytes) -> BackendMessage:
    """A server's message of this type. Raises ProtocolError for an unknown or malformed one."""
    parser = _PARSERS.get(type_)
    if parser is None:
        raise ProtocolError(f"invalid backend message type {type_}")
    return parser(payload)


__all__ = [
    "AuthenticationCleartextPassword",
    "AuthenticationGSS",
    "AuthenticationGSSContinue",
    "AuthenticationKerberosV5",
    "AuthenticationMD5Password",
    "AuthenticationMessage",
    "AuthenticationOk",
    "AuthenticationResponse",
    "AuthenticationSASL",
    "AuthenticationSASLContinue",
    "AuthenticationSASLFinal",
    "AuthenticationSCMCredential",
    "AuthenticationSSPI",
    "BackendKeyData",
    "BackendMessage",
    "Bind",
    "BindComplete",
    "CancelRequest",
    "Close",
    "CloseComplete",
    "Column",
    "CommandComplete",
    "CopyBothResponse",
    "CopyData",
    "CopyDone",
    "CopyFail",
    "CopyInResponse",
    "CopyOutResponse",
    "DataRow",
    "Describe",
    "EmptyQueryResponse",
    "ErrorResponse",
    "Execute",
    "FirstPacket",
    "Flush",
    "FrontendMessage",
    "FunctionCall",
    "FunctionCallResponse",
    "GSSENCRequest",
    "GSSResponse",
    "NegotiateProtocolVersion",
    "NoData",
    "NoticeResponse",
    "NotificationResponse",
    "ParameterDescription",
    "ParameterStatus",
    "Parse",
    "ParseComplete",
    "PasswordMessage",
    "PortalSuspended",
    "Query",
    "ReadyForQuery",
    "RowDescription",
    "SASLInitialResponse",
    "SASLResponse",
    "SSLRequest",
    "StartupMessage",
    "Sync",
    "Terminate",
    "parse_authentication",
    "parse_backend",
    "parse_frontend",
    "parse_startup",
]
