"""Limits on concurrent long responses: per key, per tenant and per process."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from app.errors import TooMany

RETRY_SECONDS = 5


class SlotLimits(NamedTuple):
    """The maximum of concurrent responses.

    The limit of a key is below that of its tenant, and that below the total.
    """

    key: int
    tenant: int
    total: int


class Slots:
    """Slots of one process for one kind of response. `kind` is a plural noun. For one event loop."""

    def __init__(self, kind: str, limits: SlotLimits) -> None:
        self._kind = kind
        self._limits = limits
        self._by_key: Counter[tuple[int, str]] = Counter()
        self._by_tenant: Counter[int] = Counter()
        self.used = 0

    def take(self, tenant_id: int, key: str) -> Callable[[], None]:
        """Take a slot and return the function that releases it. Further calls of that function do nothing.

        Raises TooMany if the key, its tenant or the process has no slot left.
        """
        self._require_free_slot(tenant_id, key)
        self._change_counts(tenant_id, key, 1)
        is_held = True

        def release() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._change_counts(tenant_id, key, -1)

        return release

    def _require_free_slot(self, tenant_id: int, key: str) -> None:
        if self._by_key[tenant_id, key] >= self._limits.key:
            raise TooMany(f"Too many {self._kind} are open with this key; close one first.", RETRY_SECONDS)
        if self._by_tenant[tenant_id] >= self._limits.tenant:
            raise TooMany(f"Too many {self._kind} of this tenant are open; close one first.", RETRY_SECONDS)
        if self.used >= self._limits.total:
            raise TooMany(f"Too many {self._kind} are open; try again later.", RETRY_SECONDS)

    def _change_counts(self, tenant_id: int, key: str, number: int) -> None:
        self.used += number
        self._by_key[tenant_id, key] += number
        self._by_tenant[tenant_id] += number
        if not self._by_key[tenant_id, key]:
            del self._by_key[tenant_id, key]
        if not self._by_tenant[tenant_id]:
            del self._by_tenant[tenant_id]
