"""Opaque IDs: a tenant can send them back, and nobody can read the number."""

from hypothesis import given
from hypothesis import strategies as st

from app.http.opaque_ids import OpaqueIds

LENGTH = 27  # of a seal
OPAQUE_IDS = OpaqueIds("a secret of the installation")
numbers = st.integers(0, 2**64 - 1)


@given(numbers, st.integers(1, 2**31))
def test_opaque_id_decodes_only_for_its_tenant_and_kind(number, tenant_id):
    opaque_id = OPAQUE_IDS.encode(tenant_id, "event", number)
    assert len(opaque_id) == LENGTH
    assert OPAQUE_IDS.encode(tenant_id, "event", number) == opaque_id
    assert OPAQUE_IDS.decode(tenant_id, "event", opaque_id) == number
    assert OPAQUE_IDS.decode(tenant_id + 1, "event", opaque_id) is None
    assert OPAQUE_IDS.decode(tenant_id, "order", opaque_id) is None
    assert OpaqueIds("another").decode(tenant_id, "event", opaque_id) is None


@given(st.text(max_size=40))
def test_random_text_is_not_an_opaque_id(text):
    assert OPAQUE_IDS.decode(1, "event", text) is None


@given(numbers, st.integers(0, LENGTH - 1), st.sampled_from("ABCxyz019-_"))
def test_opaque_id_with_a_changed_character_is_rejected(number, place, character):
    opaque_id = OPAQUE_IDS.encode(1, "event", number)
    changed = opaque_id[:place] + character + opaque_id[place + 1 :]
    assert OPAQUE_IDS.decode(1, "event", changed) == (number if changed == opaque_id else None)


def test_opaque_ids_of_adjacent_numbers_are_unrelated():
    ids = [OPAQUE_IDS.encode(1, "event", number) for number in range(100)]
    assert len({opaque_id[:4] for opaque_id in ids}) == len({opaque_id[-4:] for opaque_id in ids}) == 100
