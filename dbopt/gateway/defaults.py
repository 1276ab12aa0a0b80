"""What sessions of one pool begin with, as the server told, and what it made of clients' wishes."""

from __future__ import annotations

from dbopt.gateway.session import tracked

_MOST = 1000
"""Distinct startup settings, or settings, that are remembered; then all are forgotten."""

Settings = dict[str, str]


class Defaults:
    """Session settings of one (database, user).

    `parameters` is what the newest backend reported when it was new. `welcomes` gives, by the
    settings that a client asks for, the settings that it gets and all that it is told.
    """

    def __init__(self) -> None:
        self.parameters: Settings = {}
        self.welcomes: dict[frozenset[tuple[str, str]], tuple[Settings, Settings]] = {}
        self._canonical: dict[frozenset[tuple[str, str]], Settings] = {}

    def learn(self, parameters: Settings) -> None:
        """A new backend tells the defaults of today: an ALTER ROLE or an upgrade changes them."""
        if parameters != self.parameters:
            self.parameters = dict(parameters)
            self.welcomes.clear()

    def canonical(self, settings: Settings) -> Settings:
        """The one dict of these settings, so that equal ones are found equal by identity."""
        if len(self._canonical) > _MOST:
            self._canonical.clear()
        return self._canonical.setdefault(frozenset(settings.items()), settings)

    def remember_welcome(
        self, requested: Settings, settings: Settings, parameters: Settings
    ) -> None:
        """Keep what the server made of a client's startup settings, for the next like it."""
        if len(self.welcomes) >= _MOST:
            self.welcomes.clear()
        self.welcomes[frozenset(requested.items())] = (self.canonical(settings), parameters)

    def default_settings(self) -> Settings:
        """What a session has that asks for nothing."""
        return self.canonical(tracked(self.parameters))
