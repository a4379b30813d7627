"""docs/risk.md lists every denial code and every limit."""

import re
from pathlib import Path

import pytest

from app.risk.rules import checks
from app.risk.rules.limits import LimitCode

PAGE = (Path(__file__).parents[4] / "docs" / "risk.md").read_text()
CHECKS = [path.read_text() for path in Path(checks.__file__).parent.glob("*.py")]
CODES = {code for text in CHECKS for code in re.findall(r'Denial\(\s*"([A-Z_]+)"', text)}


def test_there_are_codes():
    assert {"HALTED", "TICK_SIZE", "NO_RATE"} <= CODES


@pytest.mark.parametrize("code", sorted(CODES | set(LimitCode)))
def test_the_page_has_the_code(code):
    assert f"`{code}`" in PAGE
