"""The file of a SQLite database."""

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.database import connect_engine


def test_moved_file_is_not_replaced_by_an_empty_one(tmp_path):
    file = tmp_path / "oms.db"
    engine = connect_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)")
        connection.commit()
    engine.dispose()
    moved_file = file.rename(tmp_path / "elsewhere.db")
    with pytest.raises(OperationalError, match="moved or deleted"):
        engine.connect()
    assert not file.exists()
    file.touch()
    with pytest.raises(OperationalError, match="replaced by another one"):
        engine.connect()
    moved_file.rename(file)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 0
    engine.dispose()


def test_connection_is_refused_if_the_file_is_moved_while_it_is_opened(tmp_path):
    file = tmp_path / "oms.db"
    engine = connect_engine(f"sqlite:///{file}")
    engine.connect().close()
    engine.dispose()
    event.listen(engine, "do_connect", lambda *_: file.rename(tmp_path / "elsewhere.db") and None)
    with pytest.raises(OperationalError, match=r"moved or deleted|replaced by another one"):
        engine.connect()
