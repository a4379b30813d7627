"""Builds authentication: the parts that look up callers off the event loop."""

import asyncio
import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.audit.service import AuditWriter
from app.clock import Now, monotonic_seconds
from app.config import Settings
from app.database import Readers, unit_of_work
from app.database.transactions import Transactions
from app.identity.dependencies.authentication import Authentication
from app.identity.queries import credentials
from app.identity.rules.access import Caller, Person
from app.identity.rules.keys import StoredKey
from app.identity.rules.people import SlackPerson
from app.identity.rules.tokens import build_key_ring
from app.identity.service.authenticator import (
    ActingPeople,
    Authenticator,
    RequestClient,
    list_environment_keys,
)
from app.identity.service.people import create_slack_user, find_known_person
from app.identity.service.sessions import LoginSessions, TokenLifetimes
from app.rate_limit import BucketExchange, BucketLimit, BucketPool, Quotas, RateLimiter

NEWCOMERS_PER_MINUTE = 60  # per tenant: limits the users that a stolen bot key can create
_LOG = logging.getLogger(__name__)


def make_sessions(
    settings: Settings, readers: Readers, transactions: Transactions, now: Now
) -> LoginSessions:
    """Return the sessions of a process."""
    ring = build_key_ring(settings.jwt_keys, settings.oms_api_key, settings.oms_api_key_previous)
    terms = TokenLifetimes(
        timedelta(minutes=settings.access_token_minutes),
        timedelta(days=settings.session_days),
        timedelta(days=settings.session_idle_days),
    )
    return LoginSessions(ring, terms, readers, transactions, now)


def make_limiter(settings: Settings, *pools: BucketPool) -> tuple[RateLimiter, BucketExchange | None]:
    """Return the rate limits of a process, and their exchange with other processes if REDIS_URL is set.

    `pools` are further pools of buckets to exchange.
    """
    quotas = Quotas(
        settings.rate_limit_per_minute,
        settings.rate_limit_tenant_per_minute,
        settings.rate_limit_address_per_minute,
    )
    limiter = RateLimiter(quotas)
    return limiter, BucketExchange(settings.redis_url, limiter, *pools) if settings.redis_url else None


def create_authentication(
    settings: Settings,
    engine: Engine,
    readers: Readers,
    transactions: Transactions,
    sessions: LoginSessions,
    limiter: RateLimiter,
    audit_writer: AuditWriter,
    now: Now,
) -> Authentication:
    """Return the authentication of a process."""
    people = _create_people(readers, transactions, now)
    return Authentication(
        _create_authenticator(settings, engine, readers, now), people, sessions, limiter, audit_writer, now
    )


def _create_authenticator(settings: Settings, engine: Engine, readers: Readers, now: Now) -> Authenticator:
    async def find(key_id: str) -> StoredKey | None:
        return await readers.run(lambda connection: credentials.find_key(connection, key_id))

    def note_use(key_id: str, at: datetime) -> None:
        asyncio.get_running_loop().run_in_executor(None, write_use, key_id, at)

    def write_use(key_id: str, at: datetime) -> None:
        try:
            with unit_of_work(engine) as connection:
                credentials.mark_used(connection, key_id, at)
        except SQLAlchemyError:
            _LOG.warning("the use of a key was not noted", exc_info=True, extra={"key_id": key_id})

    own = (settings.oms_api_key, settings.oms_api_key_previous)
    keys = list_environment_keys(tuple(filter(None, own)), settings.oms_bot_key)
    return Authenticator(keys, find, note_use, now)


def _create_people(readers: Readers, transactions: Transactions, now: Now) -> ActingPeople:
    new_user_limit = BucketLimit(
        "newcomers", "Too many new users of this tenant; try again in a minute.", NEWCOMERS_PER_MINUTE
    )

    async def find_or_create_person(
        caller: Caller, slack_person: SlackPerson, client: RequestClient
    ) -> Person:
        person = await readers.run(
            lambda connection: find_known_person(connection, caller.tenant_id, slack_person)
        )
        if person is not None:
            return person
        new_user_limit.take(caller.tenant_id, monotonic_seconds())
        return await transactions.run(
            lambda connection: create_slack_user(connection, caller, slack_person, client, now())
        )

    return ActingPeople(find_or_create_person)
