from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from dbopt.migrate.quiet import Connects, quietly, unconnected, unwritten


def test_no_engine_connects_inside_and_those_outside_do() -> None:
    engine = sa.create_engine("sqlite://")
    with unconnected(), pytest.raises(Connects):
        engine.connect()
    with engine.connect() as connection:
        assert 1 == connection.execute(sa.text("SELECT 1")).scalar_one()
    engine.dispose()


def test_what_is_set_up_inside_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    logger, root = logging.getLogger("dbopt.tests.quiet"), logging.getLogger()
    before = (root.handlers[:], root.level, sys.path[:], logging.root.manager.disable)
    with quietly():
        print("secret")
        print("secret", file=sys.stderr)
        logging.getLogger().critical("secret")
        root.addHandler(logging.NullHandler())
        root.setLevel(1)
        logger.disabled = True
        sys.path.insert(0, "elsewhere")
    assert before == (root.handlers, root.level, sys.path, logging.root.manager.disable)
    assert not logger.disabled
    assert ("", "") == tuple(capsys.readouterr())


def test_an_error_inside_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match="x"), quietly():
        raise ValueError("x")
    assert 0 == logging.root.manager.disable


def test_no_file_is_written_inside_and_all_are_read(tmp_path: Path) -> None:
    kept, new = tmp_path / "kept.sql", tmp_path / "new.sql"
    kept.write_text("kept")
    opens = io.open
    with unwritten():
        with open(kept, "w") as file:
            file.write("x")
        with kept.open(mode="ab") as more:
            more.write(b"x")
        new.write_text("x")
        assert "kept" == kept.read_text()
    assert ("kept", False) == (kept.read_text(), new.exists())
    assert open is io.open is opens
