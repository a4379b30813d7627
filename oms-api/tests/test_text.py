"""Names contain nothing invisible, and are compared without differences that people do not see."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import DEFAULT_IGNORABLE, clean_name, clean_text, label_key, name_key, remove_invisible

EDGES = [chr(code) for low, high in DEFAULT_IGNORABLE for code in (low, high)]
BESIDE = [chr(code) for low, high in DEFAULT_IGNORABLE for code in (low - 1, high + 1)]


@pytest.mark.parametrize("character", EDGES)
def test_invisible_characters_in_a_name_are_rejected(character):
    assert clean_name(f"Gro{character}wth") is None
    assert remove_invisible(f"Gro{character}wth") == "Growth"
    assert name_key(f"Gro{character}wth") == "growth"


def test_characters_beside_the_invisible_ranges_are_kept():
    visible = set(BESIDE) - set(EDGES)
    assert {
        character for character in visible if remove_invisible(f"é{character}") != f"é{character}"
    } == set()


def test_every_bidirectional_format_character_is_in_the_table():
    controls = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert remove_invisible(controls) == ""


@pytest.mark.parametrize("text", ["\u2764\ufe0f", "\U0001f469\u200d\U0001f680", "\u0645\u06cc\u200c\u062e"])
def test_note_accepts_joined_characters_that_a_name_rejects(text):
    assert clean_text(text) == text
    assert clean_name(text) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Growth  A", "growth a"),
        ("Growth\u00a0A", "Growth A"),
        ("Growth\u3000A", "Growth A"),
        ("Bob\u2019s", "bob's"),
        ("Bob`s", "bob's"),
        ("\u201cAlpha\u201d", '"alpha"'),
        ("Long\u2013short", "long-short"),
        ("Long\u2011short", "long\u2014short"),
        ("Long\u2212short", "LONG-SHORT"),
        ("\u0149", "'n"),
    ],
)
def test_visually_equal_names_have_one_key(first, second):
    assert name_key(first) == name_key(second)


@pytest.mark.parametrize(("first", "second"), [("A B", "AB"), ("A-B", "A B"), ('"A"', "'A'"), ("A", "À")])
def test_visually_different_names_have_different_keys(first, second):
    assert name_key(first) != name_key(second)


def test_labels_keep_their_case():
    assert label_key(" Mean\u2013reversion  1 ") == "Mean-reversion 1"


@given(st.text(max_size=20))
def test_name_key_is_idempotent(text):
    key = name_key(text)
    assert name_key(key) == key == name_key(unicodedata.normalize("NFD", text)) == name_key(label_key(text))
    assert label_key(label_key(text)) == label_key(text)
