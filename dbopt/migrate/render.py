"""Alembic revisions as SQL, each by itself: what `alembic upgrade --sql` prints, with its places.

The application's env.py and its revisions run in this process, in offline mode. What they print
is dropped, what they log is not shown, what they write to files is not written, and a connection
that they try to open is refused: nothing of a database address can get out, and no database and no
file is touched.

Source: Alembic's documentation, "Generating SQL Scripts (a.k.a. Offline Mode)".
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError

from dbopt.errors import DboptError, UsageError
from dbopt.migrate.quiet import Connects, quietly, unconnected, unwritten
from dbopt.sql.lexer import Lexeme, code, tokens
from dbopt.sql.split import statements

_GAP = "\n\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call has printed: its text, and the line of the revision's file that called.

    Line 0: nobody in the revision's file did.
    """

    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """The SQL of one revision's upgrade; `error` says why there is none, or not all.

    `sql` is the pieces with blank lines between; BEGIN and COMMIT are in it as Alembic sends them,
    and what Alembic writes into its own version table is not. `error_line` is that of the file.
    """

    revision: str
    file: Path
    pieces: tuple[Piece, ...] = ()
    error: str = ""
    error_line: int = 0

    @property
    def sql(self) -> str:
        """All of it."""
        return _GAP.join(piece.text for piece in self.pieces)

    def piece_at(self, offset: int) -> tuple[Piece, int]:
        """The piece at an offset of `sql`, and where it starts there."""
        start = 0
        for piece in self.pieces:
            if offset < start + len(piece.text) + len(_GAP):
                return piece, start
            start += len(piece.text) + len(_GAP)
        return Piece(""), start


def render(
    config: Config, chosen: str = "", wanted: Callable[[Path], bool] = lambda file: True
) -> list[Rendered]:
    """The upgrades of an environment's revisions, the first one first.

    `chosen` is a range "base:head" as Alembic's: what comes after the first up to the second;
    "" is all. `wanted` is asked of each revision's file. Raises UsageError for a range or a
    script_location that is none, and where env.py cannot run without a database.
    """
    with quietly(), unconnected(), unwritten():
        try:
            directory = ScriptDirectory.from_config(config)
            scripts = _scripts(directory, chosen)
        except (CommandError, RevisionError) as error:
            raise UsageError(f"Alembic: {_safe(str(error))}") from None
        except Exception as error:
            raise UsageError(
                f"{place_of(error)}the revisions cannot be loaded: {why_of(error)}",
                hint="`alembic history` must work: is what they import installed?",
            ) from None
        if not scripts and not chosen:
            where = ", ".join(map(str, directory.version_locations))
            raise UsageError(f"{where}: there are no revisions.")
        return [_render(config, directory, one) for one in scripts if wanted(Path(one.path))]


def _scripts(directory: ScriptDirectory, chosen: str) -> list[Script]:
    lower, _, upper = chosen.partition(":") if chosen else ("base", "", "heads")
    return list(directory.iterate_revisions(upper or "heads", lower or "base"))[::-1]


def _render(config: Config, directory: ScriptDirectory, script: Script) -> Rendered:
    recorder = _Recorder(script)
    config.output_buffer = recorder.buffer
    environment = EnvironmentContext(
        config,
        directory,
        fn=lambda heads, context: [recorder.step(directory, context)],
        as_sql=True,
        starting_rev=_before(script),
        destination_rev=script.revision,
    )
    try:
        with environment:
            directory.run_env()
    except (Exception, SystemExit) as error:
        if not recorder.began:
            _complain(directory, error)
        line = _line_of(error, script.path)
        return recorder.rendered(why_of(error), line)
    if not recorder.began:
        _complain(directory, CommandError("it runs no migrations there."))
    return recorder.rendered()


def _before(script: Script) -> list[str] | None:
    revises = script.down_revision
    return [revises] if isinstance(revises, str) else list(revises or ()) or None


class _Recorder:
    """Takes down what one revision prints."""

    def __init__(self, script: Script) -> None:
        self.buffer = io.StringIO()
        self.began = False
        self._script = script
        self._pieces: list[Piece] = []
        self._running = False
        self._version_table = ""

    def step(self, directory: ScriptDirectory, context: MigrationContext) -> MigrationStep:
        """The revision's upgrade, from whose start on everything printed is taken down."""
        self._version_table = context.version_table
        # An env.py for several databases comes by more than once, with a buffer of its own each.
        buffer = context.impl.output_buffer
        if isinstance(buffer, io.StringIO):
            self._pieces += [Piece(text) for text in self._kept(buffer.getvalue())]
            buffer.seek(0)
            buffer.truncate()
        context.impl.static_output = self._take  # type: ignore[method-assign]
        step = MigrationStep.upgrade_from_script(directory.revision_map, self._script)
        step.migration_fn = self._marked(step.migration_fn)
        return step

    def rendered(self, error: str = "", line: int = 0) -> Rendered:
        """All that was taken down."""
        file = Path(self._script.path)
        return Rendered(self._script.revision, file, tuple(self._pieces), error, line)

    def _marked(self, upgrade: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            self.began = self._running = True
            try:
                upgrade(**given)
            finally:
                self._running = False

        run.__name__ = "upgrade"
        return run

    def _take(self, text: str) -> None:
        if self._running:
            line = _line(sys._getframe(1), self._script.path)
            self._pieces.append(Piece(_ended(text), line))
        else:
            self._pieces += [Piece(kept) for kept in self._kept(text)]

    def _kept(self, text: str) -> Iterator[str]:
        """The statements that are not Alembic's own."""
        for statement in statements(text):
            if all(token.text != self._version_table for token in code(statement.sql)):
                yield f"{statement.sql};"


def _ended(text: str) -> str:
    """With the semicolon that Alembic has put behind a comment, and so into it."""
    last = list(tokens(text))[-1:]
    in_comment = text.endswith(";") and [token.lexeme for token in last] == [Lexeme.COMMENT]
    return f"{text[:-1]}\n;" if in_comment else text


def _line(frame: FrameType | None, path: str) -> int:
    """The line of the innermost call in that file."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _line_of(error: BaseException, path: str) -> int:
    # The one may be absolute where the other is not: script_location is written either way.
    file = Path(path).absolute()
    frames = traceback.extract_tb(error.__traceback__)
    lines = [at.lineno for at in frames if Path(at.filename).absolute() == file]
    return lines[-1] or 0 if lines else 0


def _complain(directory: ScriptDirectory, error: BaseException) -> NoReturn:
    env = str(Path(directory.dir, "env.py"))
    line = _line_of(error, env)
    where = f"{env}:{line}: " if line else place_of(error) or f"{env}: "
    if "current_app" in Path(env).read_text(encoding="utf-8", errors="replace"):
        raise UsageError(
            f"{where}cannot run without the Flask application: {why_of(error)}",
            hint="Lint what `flask db upgrade --sql` prints: `... > all.sql`, and "
            "`dbopt migrate lint all.sql`.",
        ) from None
    raise UsageError(
        f"{where}cannot run offline: {why_of(error)}",
        hint="Where context.is_offline_mode() is true it must configure a dialect_name or url, "
        "and connect to nothing: `alembic upgrade head --sql` must work.",
    ) from None


def place_of(error: BaseException) -> str:
    """`file:line: ` of what failed: where a text is no Python, else the innermost call."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: "
    frames = [at for at in traceback.extract_tb(error.__traceback__) if at.filename[0] != "<"]
    return f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""


def why_of(error: BaseException) -> str:
    """What failed: its type alone where its words may hold a DSN, a password or a literal."""
    if isinstance(error, Connects):
        return "it connects to a database."
    if isinstance(error, (CommandError, DboptError)):
        return _safe(str(error))
    return f"{type(error).__name__}."


def _safe(words: str) -> str:
    hides = "://" in words or "password" in words.lower()
    return "its message is not shown, since it holds an address." if hides else words
