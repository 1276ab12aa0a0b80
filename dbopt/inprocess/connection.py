"""Connections that let a Session see each of their operations, whatever class they are of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from dbopt.inprocess.counting import Counting, Origin
from dbopt.inprocess.route import plain
from dbopt.inprocess.session import Session

C = TypeVar("C")
_LONGEST = 200


class _Nobody:
    """Stands for the Session of a connection that cannot be observed, or not yet."""

    @staticmethod
    def begin(gen: Any) -> Any:
        """As Session.begin."""
        return gen

    @staticmethod
    def end(connection: Any, result: Any, error: BaseException | None) -> None:
        """As Session.end."""

    @staticmethod
    def leased(queue_us: float) -> None:
        """As Session.leased."""


class _Observed:
    """What both kinds of connection share. The pool makes a class of its own, with `_observe`."""

    _observe: tuple[Counting, str, bool]
    _wait: Callable[..., Any]
    """The application's class's own; looked up once, where super() would cost each query."""

    _session: Session | type[_Nobody] = _Nobody
    """The application's own class may run statements as it is made, before there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        counting, application, comments = self._observe
        try:
            origin = _origin(self.pgconn, application)  # type: ignore[attr-defined]
            self._session = Session(counting, self.pgconn, origin, comments)  # type: ignore[attr-defined]
        except Exception as error:
            counting.fault(error)


class _Connection(_Observed):
    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg.Connection.wait."""
        session = self._session
        gen = session.begin(gen)
        try:
            result = self._wait(gen, *args, **kwargs)
        except BaseException as error:
            session.end(self, None, error)
            raise
        session.end(self, result, None)
        return result


class _AsyncConnection(_Observed):
    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg.AsyncConnection.wait."""
        session = self._session
        gen = session.begin(gen)
        try:
            result = await self._wait(gen, *args, **kwargs)
        except BaseException as error:
            session.end(self, None, error)
            raise
        session.end(self, result, None)
        return result


def observed(
    connection_class: type[C],
    counting: Counting,
    application: str,
    comments: bool,
    *,
    is_async: bool,
) -> type[C]:
    """A subclass of an application's connection class that reports to `counting`.

    It shows itself by the same name. Its cursors are the application's own, untouched.
    """
    mixin = _AsyncConnection if is_async else _Connection
    names = {
        "__module__": connection_class.__module__,
        "__qualname__": connection_class.__qualname__,
        "__doc__": connection_class.__doc__,
        "_observe": (counting, application, comments),
        "_wait": connection_class.wait,  # type: ignore[attr-defined]
    }
    return cast(type[C], type(connection_class.__name__, (mixin, connection_class), names))


def leased(connection: object, waited: float) -> None:
    """The pool lends a connection, for which its borrower has waited so many seconds."""
    if isinstance(connection, _Observed):
        connection._session.leased(waited * 1e6)


def _origin(pgconn: Any, application: str) -> Origin:
    own = plain(application) or _text(pgconn.parameter_status(b"application_name"))
    return Origin(_text(pgconn.db), _text(pgconn.user), own[:_LONGEST])


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
