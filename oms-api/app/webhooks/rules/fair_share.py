"""Fair sharing of a limited number of slots between the endpoints of all tenants."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import TypeVar

T = TypeVar("T")


class SharedSlots:
    """Slots that several tenants share.

    A tenant may take a slot while it holds fewer than are free. So one tenant gets at most half of the slots
    (rounded up), and the next one at most half of the rest. `n` tenants that take one after another leave a
    slot for a tenant that has none while 2**n is less than the limit. After that it waits for a release.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used_slots: Counter[int] = Counter()

    def has_room(self, tenant_id: int) -> bool:
        """Return whether the tenant may take another slot."""
        return self._used_slots[tenant_id] < self._limit - self._used_slots.total()

    def take(self, tenant_id: int) -> None:
        """Take a slot for the tenant."""
        self._used_slots[tenant_id] += 1

    def release(self, tenant_id: int) -> None:
        """Release a slot of the tenant."""
        self._used_slots[tenant_id] -= 1
        if not self._used_slots[tenant_id]:
            del self._used_slots[tenant_id]


def interleave(groups: Iterable[Iterable[T]]) -> Iterator[T]:
    """Yield the first item of each group, then the second of each, and so on."""
    missing = object()
    rounds = zip_longest(*groups, fillvalue=missing)
    return (item for item in chain.from_iterable(rounds) if item is not missing)  # type: ignore[misc]
