"""The page that lists the tables of the database."""

from pathlib import Path

from app import models
from app.database import METADATA

PAGE = Path(__file__).parents[3] / "docs" / "data.md"


def test_page_names_each_table():
    assert models
    rows = [line.partition(" | ")[0] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in row.split("`")[1::2]}
    assert names == METADATA.tables.keys()
