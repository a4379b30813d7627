"""Open a Python console on the configured database: `make shell`, or `python shell.py`.

`query("SELECT …", name=value)` returns rows of all tenants on one read-only snapshot. `settings` and `engine`
are there too. Change data over the REST API or with `python -m app.admin`, which check and record it.
"""

import code
import sys
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.config import ConfigurationError, load_settings
from app.database import connect_engine, set_all_tenants_scope, snapshot
from app.database.failures import format_reason
from app.migrate import get_current_revision, get_migration_url

DONE, CANNOT = 0, 2
Row = dict[str, Any]


def run_query(engine: Engine, sql: str, **values: object) -> list[Row]:
    """Return the rows of a statement, each as a dict. It cannot change anything."""
    with snapshot(engine) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        try:
            rows = set_all_tenants_scope(connection).execute(text(sql), values)
            return [dict(row) for row in rows.mappings()] if rows.returns_rows else []
        finally:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = OFF")


def main() -> int:
    """Open the console, and return the exit status."""
    try:
        settings = load_settings()
        engine = connect_engine(get_migration_url(settings), readers=1)
        with engine.connect() as connection:
            revision = get_current_revision(connection)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be used: {format_reason(error)}\n")
        return CANNOT
    names = {
        "settings": settings,
        "engine": engine,
        "query": lambda sql, **values: run_query(engine, sql, **values),
    }
    code.interact(
        f"The database is at revision {revision}. Names: {', '.join(names)}.", local=names, exitmsg=""
    )
    engine.dispose()
    return DONE


if __name__ == "__main__":
    sys.exit(main())
