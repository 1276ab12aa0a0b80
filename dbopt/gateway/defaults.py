"""What sessions of one pool begin with, as the server told, and what it made of clients' wishes."""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.gateway.session import tracked
from dbopt.gateway.wishes import APPLICATION_NAME
from dbopt.wire import encode

_MOST = 1000
"""Distinct startup settings, or settings, that are remembered; then all are forgotten."""

Settings = dict[str, str]


@dataclass(frozen=True, slots=True)
class Welcome:
    """The settings that a client gets, all that it is told, and the ParameterStatus of each."""

    settings: Settings
    parameters: Settings
    message: bytes


class Defaults:
    """Session settings of one (database, user).

    `parameters` is what the newest backend reported when it was new.
    """

    def __init__(self) -> None:
        self.parameters: Settings = {}
        self._welcomes: dict[frozenset[tuple[str, str]], Welcome] = {}
        self._canonical: dict[frozenset[tuple[str, str]], Settings] = {}

    def learn(self, parameters: Settings) -> None:
        """A new backend tells the defaults of today: an ALTER ROLE or an upgrade changes them."""
        if parameters != self.parameters:
            self.parameters = dict(parameters)
            self._welcomes.clear()

    def canonical(self, settings: Settings) -> Settings:
        """The one dict of these settings, so that equal ones are found equal by identity."""
        if len(self._canonical) > _MOST:
            self._canonical.clear()
        return self._canonical.setdefault(frozenset(settings.items()), settings)

    def welcome(self, wishes: Settings) -> Welcome | None:
        """The welcome of a client with these wishes; None where the server must be asked.

        No other setting hangs on application_name: a new name needs no question.
        """
        found = self._welcomes.get(frozenset(wishes.items()))
        if found is None and (name := wishes.get(APPLICATION_NAME)):
            nameless = self._welcomes.get(frozenset(_named(wishes, "").items()))
            if nameless is not None:
                settings, parameters = nameless.settings, nameless.parameters
                found = self._remember(wishes, _named(settings, name), _named(parameters, name))
        return found

    def remember_welcome(
        self, wishes: Settings, settings: Settings, parameters: Settings
    ) -> Welcome:
        """Keep what the server made of a client's wishes, for the next one that has them."""
        name = wishes.get(APPLICATION_NAME)
        if name is not None:
            settings, parameters = _named(settings, name), _named(parameters, name)
            self._remember(_named(wishes, ""), _named(settings, ""), _named(parameters, ""))
        return self._remember(wishes, settings, parameters)

    def _remember(self, wishes: Settings, settings: Settings, parameters: Settings) -> Welcome:
        if len(self._welcomes) >= _MOST:
            self._welcomes.clear()
        message = b"".join(encode.parameter_status(*each) for each in parameters.items())
        found = Welcome(self.canonical(settings), parameters, message)
        self._welcomes[frozenset(wishes.items())] = found
        return found

    def default_settings(self) -> Settings:
        """What a session has that asks for nothing."""
        return self.canonical(tracked(self.parameters))


def _named(settings: Settings, name: str) -> Settings:
    return {**settings, APPLICATION_NAME: name} if APPLICATION_NAME in settings else settings
