"""Slows down password guessing without locking the user out.

Three token buckets refill slowly and lose a token with each attempt; a successful attempt returns its tokens.
The bucket of account and address limits a simple guesser. The bucket of an address limits one client that
tries many accounts. The bucket of an account limits many addresses; an address that has logged in to the
account before is exempt from the last two.
Memory is bounded. Processes that share a Redis share the buckets, synchronized every tenth of a second;
without Redis each process counts for itself.
"""

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from app.addresses import find_network
from app.clock import monotonic_seconds
from app.errors import TooMany
from app.rate_limit import Bucket, BucketLimit, TakenTokens
from app.rate_limit.buckets import WINDOW_SECONDS

MAX_BUCKETS = 20_000
_ROUNDING = 1e-6


class Allowance(NamedTuple):
    """The burst of attempts, and the seconds until one token is refilled."""

    attempts: int
    seconds_each: float


PAIR = Allowance(10, 60)
ADDRESS = Allowance(100, 6)
ACCOUNT = Allowance(50, 60)


class TooManyLogIns(TooMany):
    """Wait before the next attempt. The message is the same for existing and unknown accounts."""

    title = "Too many failed logins"

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many failed logins; wait before the next one.", max(1, math.ceil(seconds)))


class NamedBuckets:
    """Token buckets by name. Evicts the least recently used. `kind` names them where they are shared."""

    def __init__(
        self, allowance: Allowance, clock: Callable[[], float], max_buckets: int, kind: str = ""
    ) -> None:
        self._allowance, self._clock, self._max_buckets = allowance, clock, max_buckets
        self._full_at: dict[str, float] = {}  # least recently used first
        per_minute = round(WINDOW_SECONDS / allowance.seconds_each)
        self._limit = BucketLimit(kind, "", per_minute, at_once=allowance.attempts)
        # The tokens that were taken and not yet shared with other processes.
        self._changed_buckets: dict[str, float] | None = None

    def take(self, name: str) -> float:
        """Take a token and return 0, or return the seconds until one is available."""
        now, interval = self._clock(), self._allowance.seconds_each
        full_at = max(self._full_at.pop(name, now), now) + interval
        wait = full_at - now - self._allowance.attempts * interval
        is_available = wait <= _ROUNDING
        if len(self._full_at) >= self._max_buckets:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[name] = full_at if is_available else full_at - interval
        if is_available:
            self._record_change(name, 1)
        return 0.0 if is_available else wait

    def return_tokens(self, name: str, tokens: float = 1) -> None:
        """Return tokens to a bucket."""
        if name in self._full_at:
            self._full_at[name] -= tokens * self._allowance.seconds_each
            self._record_change(name, -tokens)

    def start_recording(self) -> None:
        """Start to record the tokens that are taken, for `drain`."""
        self._changed_buckets = {}

    @property
    def has_changes(self) -> bool:
        """Return whether `drain` would return anything."""
        return bool(self._changed_buckets)

    def drain(self) -> list[TakenTokens]:
        """Return the tokens taken since the last call, less the returned tokens. Names are hashed."""
        touched, self._changed_buckets = self._changed_buckets or {}, {}
        now = self._clock()
        return [
            TakenTokens(_NamedBucket(self._limit, name, now), round(count)) for name, count in touched.items()
        ]

    def update_level(self, bucket: Bucket, level: float) -> None:
        """Set the level that all processes share, less the tokens that were taken here since."""
        assert isinstance(bucket, _NamedBucket), "from `drain`"  # noqa: S101  # for the type checker
        remaining_attempts = level - (self._changed_buckets or {}).get(bucket.name, 0)
        if bucket.name in self._full_at:
            self._full_at[bucket.name] = (
                self._clock() + (self._allowance.attempts - remaining_attempts) * self._allowance.seconds_each
            )

    def _record_change(self, name: str, count: float) -> None:
        if self._changed_buckets is not None:
            self._changed_buckets[name] = self._changed_buckets.get(name, 0) + count

    def __len__(self) -> int:
        return len(self._full_at)


class _NamedBucket(Bucket):
    """A shared bucket. Accounts and addresses are not written to Redis in the clear."""

    __slots__ = ("name",)

    def __init__(self, limit: BucketLimit, name: str, at: float) -> None:
        super().__init__(limit, hashlib.sha256(name.encode()).hexdigest()[:32], at)
        self.name = name


class Attempt(NamedTuple):
    """A login attempt. `unknown_address_wait` is the wait of an unknown address in seconds."""

    account: str
    address: str
    unknown_address_wait: float
    has_address_token: bool
    has_account_token: bool


class Throttle:
    """Counts login attempts. `account` is any text that names an account, existing or not."""

    def __init__(
        self, clock: Callable[[], float] = monotonic_seconds, max_buckets: int = MAX_BUCKETS
    ) -> None:
        self._pairs = NamedBuckets(PAIR, clock, max_buckets, "login pairs")
        self._addresses = NamedBuckets(ADDRESS, clock, max_buckets, "login addresses")
        self._accounts = NamedBuckets(ACCOUNT, clock, max_buckets, "login accounts")

    @property
    def pools(self) -> tuple[NamedBuckets, ...]:
        """The buckets that processes may share."""
        return self._pairs, self._addresses, self._accounts

    def start_attempt(self, account: str, address: str) -> Attempt:
        """Take tokens before any query. Raises TooManyLogIns.

        If `unknown_address_wait` is above 0, the caller must check whether the address is known to the
        account, and call `refuse_unknown_address` if it is not.
        """
        network = find_network(address)
        wait = self._pairs.take(_join_keys(account, network))
        if wait:
            raise TooManyLogIns(wait)
        by_address, by_account = self._addresses.take(network), self._accounts.take(account)
        return Attempt(account, network, max(by_address, by_account), not by_address, not by_account)

    def refuse_unknown_address(self, attempt: Attempt) -> NoReturn:
        """Return the tokens, because no password was checked. Raises TooManyLogIns."""
        self.cancel_attempt(attempt)
        raise TooManyLogIns(attempt.unknown_address_wait)

    def cancel_attempt(self, attempt: Attempt) -> None:
        """Return the tokens: the password was not checked."""
        self._pairs.return_tokens(_join_keys(attempt.account, attempt.address))
        self._return_shared_tokens(attempt)

    def record_success(self, attempt: Attempt) -> None:
        """Reset the failures of this account and address, and return the other tokens of the attempt."""
        self._pairs.return_tokens(_join_keys(attempt.account, attempt.address), PAIR.attempts)
        self._return_shared_tokens(attempt)

    def _return_shared_tokens(self, attempt: Attempt) -> None:
        if attempt.has_address_token:
            self._addresses.return_tokens(attempt.address)
        if attempt.has_account_token:
            self._accounts.return_tokens(attempt.account)


def _join_keys(account: str, network: str) -> str:
    return f"{account}\0{network}"
