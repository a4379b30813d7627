import pytest

from app.forms.instruments import SYMBOL_PROMPT, Instrument, build_symbol_line

APPLE, OTHER = Instrument("AAPL", "Apple Inc."), Instrument("AAPLX", "")


@pytest.mark.parametrize(
    ("typed", "instruments", "line"),
    [
        ("", [APPLE], SYMBOL_PROMPT),
        ("AAPL", None, SYMBOL_PROMPT),
        (" $aapl", [APPLE, OTHER], "AAPL (Apple Inc.)"),
        ("AAPLX", [OTHER], "AAPLX"),
        ("app", [APPLE], "Matching instruments: AAPL (Apple Inc.)"),
        ("apple i", [APPLE, OTHER], "Matching instruments: AAPL (Apple Inc.), AAPLX"),
        ("A", [APPLE] + [OTHER] * 5, "Matching instruments: AAPL (Apple Inc.)" + ", AAPLX" * 4 + " and more"),
        (" zz ", [], "ZZ is not a listed instrument."),
    ],
)
def test_line_under_the_symbol_names_the_instrument_or_matches(typed, instruments, line):
    assert build_symbol_line(typed, instruments) == line
