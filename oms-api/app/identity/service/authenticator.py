"""Authentication of API keys, and of the people they act for."""

import hmac
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from app.clock import Now, monotonic_seconds
from app.identity.errors import ActingNotAllowed, NotAPerson, NoValidKey, PersonRejected, TenantSuspended
from app.identity.rules.access import FIRST_TENANT, Caller, Person, Scope, expand_scopes, get_acting_caller
from app.identity.rules.keys import StoredKey, get_environment_key_id, hash_key, is_valid_key, parse_key_id
from app.identity.rules.people import SlackPerson, parse_slack_person

CACHE_SECONDS = 0.5  # a revoked key stops working within 1 s: half for the cache, half for a slow query
KEY_USE_INTERVAL = timedelta(minutes=1)
_MAX_CACHED = 10_000

BOOTSTRAP = Caller(FIRST_TENANT, "bootstrap", "bootstrap", frozenset(Scope))
BOT_KEY_NAME = "slack-bot"

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


def list_environment_keys(bootstrap_keys: tuple[str, ...], bot_key: str | None) -> dict[str, Caller]:
    """Return the keys that are set in the environment, with the caller of each.

    The key of the bot may act for people and use the rights of the scope `bot`, in the first tenant.
    """
    keys = dict.fromkeys(bootstrap_keys, BOOTSTRAP)
    if bot_key is not None:
        scopes = frozenset({Scope.ACT_AS, Scope.BOT})
        keys[bot_key] = Caller(FIRST_TENANT, get_environment_key_id(bot_key), BOT_KEY_NAME, scopes)
    return keys


class ExpiringCache(Generic[KeyT, ValueT]):
    """A cache whose values expire CACHE_SECONDS after they were queried."""

    def __init__(self) -> None:
        self._entries: dict[KeyT, tuple[ValueT, float]] = {}

    def get(self, key: KeyT) -> ValueT | None:
        """Return the cached value, or None."""
        entry = self._entries.get(key)
        return entry[0] if entry and entry[1] > monotonic_seconds() else None

    def put(self, key: KeyT, value: ValueT, queried_at: float) -> None:
        """Cache `value`, which was queried at `queried_at` (monotonic seconds)."""
        if len(self._entries) >= _MAX_CACHED:
            self.clear()
        self._entries[key] = (value, queried_at + CACHE_SECONDS)

    def clear(self) -> None:
        """Remove all values."""
        self._entries.clear()

    def remove(self, key: KeyT) -> None:
        """Remove the value of one key."""
        self._entries.pop(key, None)


class Authenticator:
    """Authenticates API keys. Caches the valid ones by their hash."""

    def __init__(
        self,
        environment_keys: Mapping[str, Caller],
        load_key: Callable[[str], Awaitable[StoredKey | None]],
        note_use: Callable[[str, datetime], None],
        now: Now,
    ) -> None:
        self._environment_keys = [(hash_key(key), caller) for key, caller in environment_keys.items()]
        self._load_key = load_key
        self._record_key_use = note_use
        self._now = now
        self._cache: ExpiringCache[bytes, Caller] = ExpiringCache()
        self._recorded_at: dict[str, datetime] = {}

    def find_cached(self, key: str | None) -> Caller | None:
        """Return the caller of a key, or None if that needs a query. Raises NoValidKey if there is no key."""
        if not key:
            raise NoValidKey
        digest = hash_key(key)
        caller = self._cache.get(digest)
        if caller is not None:
            return caller
        matching = [caller for own, caller in self._environment_keys if hmac.compare_digest(digest, own)]
        return matching[0] if matching else None

    async def authenticate(self, key: str | None) -> Caller:
        """Return the caller of a key. Raises NoValidKey if it is not valid."""
        caller = self.find_cached(key)
        return await self._load_caller(key or "") if caller is None else caller

    async def _load_caller(self, key: str) -> Caller:
        digest = hash_key(key)
        queried_at = monotonic_seconds()
        key_id = parse_key_id(key)
        stored = await self._load_key(key_id) if key_id else None
        now = self._now()
        if stored is None or not is_valid_key(stored, key, now):
            self._cache.remove(digest)
            raise NoValidKey
        if not stored.tenant_is_active:
            raise TenantSuspended
        caller = _build_caller(stored)
        self._cache.put(digest, caller, queried_at)
        self._record_use(stored.key_id, now)
        return caller

    def _record_use(self, key_id: str, now: datetime) -> None:
        noted = self._recorded_at.get(key_id)
        if noted is None or now - noted >= KEY_USE_INTERVAL:
            self._recorded_at[key_id] = now
            self._record_key_use(key_id, now)


def _build_caller(stored: StoredKey) -> Caller:
    scopes = expand_scopes(stored.scopes.split())
    return Caller(
        stored.tenant_id,
        stored.key_id,
        stored.name,
        scopes,
        portfolios=stored.portfolios,
        expires_at=stored.expires_at,
    )


class RequestClient(NamedTuple):
    """The address of a request's client, and the request ID."""

    address: str
    request_id: str


class ActingPeople:
    """Finds the person that a key acts for. `load_person` loads a user, and creates it on first use."""

    def __init__(
        self, load_person: Callable[[Caller, SlackPerson, RequestClient], Awaitable[Person]]
    ) -> None:
        self._load_person = load_person
        self._cache: ExpiringCache[tuple[int, str], Person] = ExpiringCache()

    def find_cached(self, caller: Caller, text: str) -> Caller | None:
        """Return the caller acting for a person, or None if that needs a query or is refused."""
        person = self._cache.get((caller.tenant_id, text))
        if person is None or not person.active or Scope.ACT_AS not in caller.scopes:
            return None
        return get_acting_caller(caller, person)

    async def find_acting_caller(self, caller: Caller, text: str, client: RequestClient) -> Caller:
        """Return the caller acting for the person that the header `text` names.

        Raises ActingNotAllowed, NotAPerson, PersonRejected, WorkspaceNotBound or TenantSuspended.
        """
        if Scope.ACT_AS not in caller.scopes:
            raise ActingNotAllowed
        person = self._cache.get((caller.tenant_id, text))
        if person is None:
            slack_person = parse_slack_person(text)
            if slack_person is None:
                raise NotAPerson
            queried_at = monotonic_seconds()
            person = await self._load_person(caller, slack_person, client)
            self._cache.put((caller.tenant_id, text), person, queried_at)
        if not person.active:
            raise PersonRejected
        return get_acting_caller(caller, person)
