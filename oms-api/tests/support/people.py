"""Users who can log in, and session services with an adjustable clock."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Engine, text

from app.audit.service import AuditWriter
from app.database import Readers, connect_engine, unit_of_work
from app.database.transactions import Transactions
from app.identity.queries.sessions import store_login
from app.identity.rules.clients import Client, LoginCredentials
from app.identity.rules.tokens import Tokens, build_key_ring
from app.identity.service.logins import LoginService
from app.identity.service.passwords import LANES, MEMORY_KIB, PASSES, Passwords
from app.identity.service.sessions import LoginSessions, TokenLifetimes
from app.identity.service.throttle import Throttle
from tests.factories import NOON

PASSWORD = "violet kettle marches north"
RING = build_key_ring("now:" + "n" * 40, "m" * 40)
TERMS = TokenLifetimes(timedelta(minutes=15), timedelta(days=30), timedelta(days=7))
LAPTOP = Client("192.0.2.1", "browser", "req-1")
THIEF = Client("203.0.113.9", "curl", "req-2")
_numbers = count(1000)


@cache
def hash_password() -> str:
    """Return the hash of PASSWORD, with the service's parameters.

    It does not use the service's hasher, which a test may have replaced.
    """
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES).hash(PASSWORD)


@dataclass(frozen=True)
class Person:
    """Somebody of a tenant."""

    tenant_id: int
    tenant: str
    user_id: int
    email: str

    def build_login(self, password: str = PASSWORD, **changes: str) -> LoginCredentials:
        """Return the credentials of the person."""
        credentials = {"tenant": self.tenant, "email": self.email} | changes
        return LoginCredentials(password=password, **credentials)


def create_person(
    engine: Engine, tenant_id: int | None = None, role: str = "trader", email: str = "alice@x"
) -> Person:
    """Return a new person who can log in by PASSWORD, of a new tenant unless one is given."""
    number = next(_numbers)
    with unit_of_work(engine) as connection:
        if tenant_id is None:
            tenant_id = number
            add = "INSERT INTO tenants (id, slug, name, created_at) VALUES (:id, :slug, 'A desk', :at)"
            connection.execute(
                text(add), {"id": tenant_id, "slug": f"desk-{number}", "at": "2026-01-01T00:00:00Z"}
            )
        slug = connection.execute(
            text("SELECT slug FROM tenants WHERE id = :id"), {"id": tenant_id}
        ).scalar_one()
        add = (
            "INSERT INTO users (id, tenant_id, email, name, role, created_at, updated_at) "
            "VALUES (:id, :tenant_id, :email, 'Alice', :role, :at, :at)"
        )
        fields = {
            "id": number,
            "tenant_id": tenant_id,
            "email": email,
            "role": role,
            "at": "2026-01-01T00:00:00Z",
        }
        connection.execute(text(add), fields)
        store_login(connection, tenant_id, email, number, hash_password(), NOON)
    return Person(tenant_id, slug, number, email)


class SessionServices:
    """Sessions and logins of one process on a database, as the service works: behind the wall."""

    def __init__(self, database_url: str) -> None:
        self.now = NOON
        self.engine = connect_engine(database_url, readers=2, tenant_scoped=True)
        self.readers, self.transactions = Readers(self.engine, 2), Transactions(self.engine)
        self.passwords = Passwords()
        self.audit_writer = AuditWriter(self.engine, lambda: self.now, lambda _: None)
        self.sessions = LoginSessions(RING, TERMS, self.readers, self.transactions, lambda: self.now)
        self.throttle = Throttle()
        self.login_service = LoginService(
            self.sessions,
            self.passwords,
            self.throttle,
            self.audit_writer,
            self.readers,
            self.transactions,
            lambda: self.now,
        )

    def log_in(self, credentials: LoginCredentials, client: Client = LAPTOP) -> Tokens:
        """Log in and return the tokens."""
        return asyncio.run(self.login_service.log_in(credentials, client))

    def refresh(self, token: str, client: Client = LAPTOP) -> Tokens:
        """Exchange a refresh token."""
        return asyncio.run(self.sessions.refresh(token, client))

    def caller(self, token: str) -> Any:
        """Return whose access token it is."""
        return asyncio.run(self.sessions.authenticate(token))

    def close(self) -> None:
        """Let go of the database."""
        self.passwords.close()
        self.transactions.close()
        self.readers.close()
        self.engine.dispose()


@contextmanager
def run_session_services(database_url: str, number: int = 1) -> Iterator[list[SessionServices]]:
    """Run as many processes' worth of sessions."""
    built = [SessionServices(database_url) for _ in range(number)]
    try:
        yield built
    finally:
        for house in built:
            house.close()


def execute(engine: Engine, statement: str, **parameters: Any) -> None:
    """Change the database without the service."""
    with unit_of_work(engine) as connection:
        connection.execute(text(statement), parameters)


def query(engine: Engine, statement: str) -> Sequence[Any]:
    """Return the rows of a statement."""
    with engine.connect() as connection:
        return connection.execute(text(statement)).all()
