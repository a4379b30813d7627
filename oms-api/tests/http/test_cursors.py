"""Cursors are opaque and signed, and valid for one tenant and one list."""

import base64
import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.http.pages import Cursors
from tests.factories import BOOTSTRAP_KEY

CURSORS = Cursors(BOOTSTRAP_KEY)
positions = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
TENANT, LIST = 7, "trades"


@given(st.integers(1, 10**6), positions)
def test_cursor_round_trips_its_position(tenant, position):
    cursor = CURSORS.make(tenant, LIST, position)
    assert cursor.isascii()
    assert Cursors(BOOTSTRAP_KEY).read(tenant, LIST, cursor) == position


@given(positions, st.integers(0, 200), st.sampled_from("ABCDwxyz0189-_"))
def test_tampered_cursor_is_rejected(position, at, character):
    cursor = CURSORS.make(TENANT, LIST, position)
    at %= len(cursor)
    changed = cursor[:at] + character + cursor[at + 1 :]
    padding = "=" * (-len(cursor) % 4)
    if base64.urlsafe_b64decode(changed + padding) != base64.urlsafe_b64decode(cursor + padding):
        with pytest.raises(Invalid):
            CURSORS.read(TENANT, LIST, changed)


@given(st.text(max_size=60))
def test_random_text_is_rejected(text):
    with pytest.raises(Invalid) as caught:
        CURSORS.read(TENANT, LIST, text)
    assert caught.value.errors[0].field == "cursor"


@pytest.mark.parametrize(
    ("cursors", "tenant", "listed"),
    [
        (CURSORS, 8, LIST),
        (CURSORS, 77, LIST),
        (CURSORS, TENANT, "portfolios"),
        (Cursors("x" * 32), TENANT, LIST),
    ],
)
def test_cursor_is_invalid_for_another_tenant_list_or_deployment(cursors, tenant, listed):
    cursor = CURSORS.make(TENANT, LIST, "T1")
    with pytest.raises(Invalid):
        cursors.read(tenant, listed, cursor)


def test_signature_separates_tenant_list_and_position():
    assert CURSORS.make(1, "a", "b|c") != CURSORS.make(1, "a|b", "c")
    with pytest.raises(Invalid):
        CURSORS.read(1, "a|b", CURSORS.make(1, "a", "b|c"))


def test_alternative_encoding_of_a_cursor_is_rejected():
    cursors = Cursors("k" * 40)
    cursor = cursors.make(1, "trades", "ab")
    spelled = [cursor[:-1] + letter for letter in string.ascii_letters + string.digits + "-_"]
    read = []
    for other in spelled:
        with contextlib.suppress(Invalid):
            read.append(cursors.read(1, "trades", other))
    assert read == ["ab"]
