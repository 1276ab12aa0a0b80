"""Message: what every message of both directions can do.

Names and values that configure a session (startup parameters, ParameterStatus, SASL
mechanisms) are str, decoded so that any byte survives (`buffer.decode`). Everything whose
encoding is the client's business (query text, statement names, values, error fields, tags)
stays bytes.
"""

from __future__ import annotations

from typing import ClassVar, Self

from dbopt.wire import buffer
from dbopt.wire.buffer import Reader


class Message:
    """One protocol message. A class without fields overrides nothing but its type."""

    __slots__ = ()

    TYPE: ClassVar[int]

    def encode(self) -> bytes:
        """The whole message with type and length. Raises ProtocolError for what cannot be sent."""
        return buffer.frame(self.TYPE, self._payload())

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message whose payload (what follows the length word) this is.

        Raises ProtocolError, which names the message, for a payload that is not one.
        """
        reader = Reader(cls.__name__, payload)
        message = cls._read(reader)
        reader.end()
        return message

    def _payload(self) -> bytes:
        return b""

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls()
