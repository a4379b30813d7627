"""No tenant takes all slots, and tenants take turns."""

from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.rules.fair_share import SharedSlots, interleave


def take_all_slots(slots, tenant_id):
    slot_count = 0
    while slots.has_room(tenant_id):
        slots.take(tenant_id)
        slot_count += 1
    return slot_count


@given(limit=st.integers(2, 200), tenants=st.integers(1, 20))
def test_tenants_that_take_all_they_can_leave_a_slot_for_the_next_one(limit, tenants):
    slots = SharedSlots(limit)
    slot_counts = [take_all_slots(slots, tenant_id) for tenant_id in range(tenants)]
    assert sum(slot_counts) <= limit
    if 2**tenants < limit:
        assert slots.has_room(tenants)
    assert slot_counts[0] == (limit + 1) // 2


def test_released_slots_are_free_again():
    slots = SharedSlots(4)
    assert (take_all_slots(slots, 1), take_all_slots(slots, 2)) == (2, 1)
    for _ in range(2):
        slots.release(1)
    assert take_all_slots(slots, 2) == 1
    assert slots.has_room(1)


@given(st.lists(st.lists(st.integers())))
def test_interleaved_groups_keep_all_items_and_their_order(groups):
    numbered = [[(number, item) for item in group] for number, group in enumerate(groups)]
    jobs = list(interleave(numbered))
    for number, group in enumerate(numbered):
        assert [job for job in jobs if job[0] == number] == group
    firsts = [group[0] for group in numbered if group]
    assert jobs[: len(firsts)] == firsts
