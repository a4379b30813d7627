"""Write a migration for the differences between the models and the migrations: `make makemigrations NAME=…`.

The migrations run on a new SQLite file, which is then compared with the models. Read the written file:
triggers, row-level security and grants are not part of the models. See "Add a migration" in CONTRIBUTING.md.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from alembic import command

from app.database import connect_engine
from app.migrate import MIGRATIONS, build_alembic_config, migrate

DONE, CANNOT = 0, 2


def find_next_revision(folder: Path) -> str:
    """Return the number after the highest one of the migrations."""
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9]*_*.py")]
    return f"{max(numbers, default=0) + 1:04d}"


def write_migration(name: str) -> Path:
    """Write the migration, and return its file."""
    revision = find_next_revision(MIGRATIONS / "versions")
    with tempfile.TemporaryDirectory() as folder:
        engine = connect_engine(f"sqlite:///{folder}/compare.db")
        migrate(engine)
        with engine.connect() as connection:
            command.revision(build_alembic_config(connection), name, autogenerate=True, rev_id=revision)
        engine.dispose()
    return next((MIGRATIONS / "versions").glob(f"{revision}_*.py"))


def main(arguments: Sequence[str]) -> int:
    """Write the migration, and return the exit status."""
    name = "_".join(arguments).lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,39}", name):
        sys.stderr.write("Name the migration: make makemigrations NAME=order_tags\n")
        return CANNOT
    sys.stdout.write(f"Wrote {write_migration(name)}. Check it, and add what the models do not contain.\n")
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
