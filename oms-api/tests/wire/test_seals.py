"""Numbers that a tenant can hand back, and nobody can read."""

from hypothesis import given
from hypothesis import strategies as st

from app.wire.opaque_ids import OpaqueIds

LENGTH = 27  # of a seal
SEALS = OpaqueIds("a secret of the installation")
numbers = st.integers(0, 2**64 - 1)


@given(numbers, st.integers(1, 2**31))
def test_a_seal_opens_for_its_tenant_and_kind_alone(number, tenant_id):
    seal = SEALS.seal(tenant_id, "event", number)
    assert len(seal) == LENGTH
    assert SEALS.seal(tenant_id, "event", number) == seal
    assert SEALS.open(tenant_id, "event", seal) == number
    assert SEALS.open(tenant_id + 1, "event", seal) is None
    assert SEALS.open(tenant_id, "order", seal) is None
    assert OpaqueIds("another").open(tenant_id, "event", seal) is None


@given(st.text(max_size=40))
def test_anything_else_is_no_seal(text):
    assert SEALS.open(1, "event", text) is None


@given(numbers, st.integers(0, LENGTH - 1), st.sampled_from("ABCxyz019-_"))
def test_a_seal_with_another_character_is_none(number, place, character):
    seal = SEALS.seal(1, "event", number)
    changed = seal[:place] + character + seal[place + 1 :]
    assert SEALS.open(1, "event", changed) == (number if changed == seal else None)


def test_seals_of_neighbours_have_nothing_in_common():
    told = [SEALS.seal(1, "event", number) for number in range(100)]
    assert len({seal[:4] for seal in told}) == len({seal[-4:] for seal in told}) == 100
