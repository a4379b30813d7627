"""The three rate limits of a request, checked by one call."""

from dataclasses import dataclass

from app.addresses import find_network
from app.clock import monotonic_seconds
from app.rate_limit.buckets import (
    Bucket,
    BucketLimit,
    MonotonicClock,
    OverLimit,
    RateState,
    TakenTokens,
    Unlimited,
)

TENANT_FACTOR, ADDRESS_FACTOR = 10, 20


@dataclass(frozen=True, slots=True)
class Quotas:
    """Requests per minute.

    `caller` (key and person) = 0 switches all limits off; another 0 switches off that limit. None means ten
    and twenty times `caller`.
    """

    caller: int
    tenant: int | None = None
    address: int | None = None


class RateLimiter:
    """The buckets of one process. Not thread-safe: for one event loop."""

    def __init__(self, quotas: Quotas, clock: MonotonicClock = monotonic_seconds) -> None:
        self.is_on = quotas.caller > 0
        tenant = quotas.caller * TENANT_FACTOR if quotas.tenant is None else quotas.tenant
        address = quotas.caller * ADDRESS_FACTOR if quotas.address is None else quotas.address
        self._callers = _build_limit("default", "Too many requests with this key; send fewer.", quotas.caller)
        self._tenants = _build_limit("tenant", "Too many requests from this tenant; send fewer.", tenant)
        self._addresses = _build_limit(
            "address", "Too many requests from this network address; send fewer.", address
        )
        self._clock = clock
        self._changed_buckets: list[Bucket] | None = None

    def take(self, key_and_person: str, tenant_id: int, address: str) -> RateState | None:
        """Take one request from each of the three buckets, or from none. Return None if limits are off.

        Return the caller's or the tenant's state, whichever allows less. The state of the address is not
        returned, since tenants that share an address would see each other's activity. Raises OverLimit.
        """
        if not self.is_on:
            return None
        now = self._clock()
        caller = self._callers.refill_bucket(key_and_person, now)
        tenant = self._tenants.refill_bucket(tenant_id, now)
        network = self._addresses.refill_bucket(_find_network_name(address), now)
        if caller.level < 1 or tenant.level < 1 or network.level < 1:
            raise _build_over_limit(caller, tenant, network)
        caller.level -= 1
        tenant.level -= 1
        network.level -= 1
        if self._changed_buckets is not None:
            self._record_change(caller, tenant, network)
        reported = caller if caller.level <= tenant.level else tenant
        return RateState(reported.limit, reported.level)

    def check_address(self, address: str) -> None:
        """Raise OverLimit if the address has no request left. Called before a key is looked up."""
        if self.is_on:
            network = self._addresses.refill_bucket(_find_network_name(address), self._clock())
            if network.level < 1:
                raise _build_over_limit(network)

    def charge_address(self, address: str) -> None:
        """Count a request that failed to authenticate.

        Concurrent ones may make the level negative; the address is served again once it is refilled.
        """
        if self.is_on:
            network = self._addresses.refill_bucket(_find_network_name(address), self._clock())
            network.level = max(network.level - 1, -network.limit.capacity)
            if self._changed_buckets is not None:
                self._record_change(network)

    def start_recording(self) -> None:
        """Start to record the buckets that are taken from, for `drain`."""
        self._changed_buckets = []

    @property
    def has_changes(self) -> bool:
        """Return whether `drain` would return anything."""
        return bool(self._changed_buckets)

    def drain(self) -> list[TakenTokens]:
        """Return the tokens taken since the last call, by bucket."""
        drained = [TakenTokens(bucket, bucket.taken) for bucket in self._changed_buckets or ()]
        for bucket, _ in drained:
            bucket.taken = 0
        self._changed_buckets = []
        return drained

    def update_level(self, bucket: Bucket, level: float) -> None:
        """Set the shared `level`, less the tokens taken here since."""
        bucket.refill(self._clock())
        bucket.level = min(bucket.level, level - bucket.taken)

    def _record_change(self, *buckets: Bucket) -> None:
        assert self._changed_buckets is not None, "the callers check it"  # noqa: S101  # for the type checker
        for bucket in buckets:
            if bucket.limit.per_second:
                if not bucket.taken:
                    self._changed_buckets.append(bucket)
                bucket.taken += 1


def _build_limit(name: str, message: str, per_minute: int) -> BucketLimit:
    return BucketLimit(name, message, per_minute) if per_minute else Unlimited()


def _build_over_limit(*buckets: Bucket) -> OverLimit:
    """Return the error of the limit with the longest wait."""
    empty = [RateState(bucket.limit, bucket.level) for bucket in buckets if bucket.level < 1]
    return OverLimit(max(empty, key=lambda rate: rate.more_after_seconds))


def _find_network_name(address: str) -> str:
    return find_network(address) if ":" in address else address
