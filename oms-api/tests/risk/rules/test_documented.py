"""docs/risk.md lists every denial code and every limit."""

import re
from pathlib import Path

import pytest

from app.risk.rules import checks
from app.risk.rules.limits import LimitCode

PAGE = (Path(__file__).parents[4] / "docs" / "risk.md").read_text()
CHECKS = [path.read_text() for path in Path(checks.__file__).parent.glob("*.py")]
CODES = {code for text in CHECKS for code in re.findall(r'Denial\(\s*"([A-Z_]+)"', text)}


def test_denial_codes_are_found_in_the_source():
    assert {"HALTED", "TICK_SIZE", "NO_RATE"} <= CODES


@pytest.mark.parametrize("code", sorted(CODES | set(LimitCode)))
def test_every_denial_code_and_limit_is_documented(code):
    assert f"`{code}`" in PAGE
