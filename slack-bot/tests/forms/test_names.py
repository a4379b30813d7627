"""Names are accepted and compared by the same rules as in the OMS."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms import text as bot_text
from app.forms.text import InvalidName, name_key, parse_note, parse_portfolio

OMS_FILE = Path(__file__).parents[3] / "oms-api" / "app" / "text.py"


def load_oms_text() -> ModuleType:
    """Load the module of the OMS by its path: both services name their package `app`."""
    spec = importlib.util.spec_from_file_location("oms_text", OMS_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OMS_TEXT = load_oms_text()
# White space, case, joiners, variation selectors, quotes and dashes, and characters that are refused.
CHARACTERS = "aAßİ é\u0301 \t\u00a0\u3000\u200b\u200c\u200d\ufe0f\u3164\u202e\ufffe\U000e0041’'`“\"–-"
NAMES = st.text(st.sampled_from(CHARACTERS) | st.characters(), max_size=20)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Income  Fund", "income fund"),
        ("Income\u00a0Fund", "Income Fund"),
        ("O’Neil", "O'Neil"),
        ("“Core”", '"core"'),
        ("Long–Short", "long-short"),
        ("Café", "CAFE\u0301"),
        ("Gro\u200dwth", "Growth"),
    ],
)
def test_names_that_differ_only_in_typing_are_equal(typed, stored):
    assert name_key(typed) == name_key(stored)


@given(NAMES)
def test_names_are_compared_as_the_oms_compares_them(name):
    assert name_key(name) == OMS_TEXT.name_key(name)


@given(NAMES)
def test_name_is_refused_where_the_oms_refuses_it(name):
    surrounded = f"x{name.replace('/', '')}x"  # the bot removes quotes around a name, and refuses a slash
    try:
        accepted = parse_portfolio(surrounded)
    except InvalidName:
        accepted = None
    assert accepted == OMS_TEXT.clean_name(surrounded)


@given(NAMES)
def test_oms_accepts_every_note_that_the_bot_accepts(note):
    try:
        accepted = parse_note(note)
    except InvalidName:
        return
    assert OMS_TEXT.clean_text(accepted) == accepted


def test_both_services_refuse_the_same_invisible_characters():
    assert bot_text.DEFAULT_IGNORABLE == OMS_TEXT.DEFAULT_IGNORABLE
