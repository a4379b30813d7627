"""Login by tenant, e-mail address and password. No response reveals which of them was wrong."""

import logging
from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry, AuditWriter, record_entries
from app.clock import Now
from app.database import Readers, set_tenant_scope
from app.database.transactions import Transactions
from app.errors import Forbidden, Unauthenticated, Unavailable
from app.identity.errors import TenantSuspended
from app.identity.queries import sessions as queries
from app.identity.queries.sessions import FoundLogin, UserKey
from app.identity.rules.access import Caller
from app.identity.rules.clients import Client, LoginCredentials, hash_address
from app.identity.rules.tokens import Tokens
from app.identity.service.passwords import PasswordCheck, Passwords, require_strong_password
from app.identity.service.sessions import LoginSessions, build_session_entry, get_session_id
from app.identity.service.throttle import Attempt, Throttle

_LOG = logging.getLogger(__name__)


class WrongLogin(Unauthenticated):
    """The same message whichever credential was wrong."""

    kind, title = "wrong-login", "Invalid credentials"
    sentence = "The tenant, the e-mail address or the password is wrong; correct them and try again."


class WrongPassword(Forbidden):
    """The caller is logged in but sent a wrong current password."""

    kind, title = "wrong-password", "The password is not changed"
    sentence = "`current_password` is wrong; correct it and try again."


class LoginService:
    """Logs users in and changes their passwords."""

    def __init__(
        self, sessions: LoginSessions, passwords: Passwords, throttle: Throttle, audit_writer: AuditWriter,
        readers: Readers, transactions: Transactions, now: Now,
    ) -> None:  # fmt: skip
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._audit_writer = audit_writer
        self._readers, self._transactions, self._now = readers, transactions, now

    async def log_in(self, credentials: LoginCredentials, client: Client) -> Tokens:
        """Check the credentials and return the tokens of a new session.

        Raises WrongLogin, TooManyLogIns, TenantSuspended, or Unavailable if too many logins run at once.
        """
        attempt = self._throttle.start_attempt(credentials.account, client.address)
        try:
            if attempt.unknown_address_wait and not await self._is_known(credentials, attempt):
                self._throttle.refuse_unknown_address(attempt)
            tokens = await self._attempt_log_in(credentials, client)
        except Unavailable:
            self._throttle.cancel_attempt(attempt)
            raise
        self._throttle.record_success(attempt)
        return tokens

    async def _attempt_log_in(self, credentials: LoginCredentials, client: Client) -> Tokens:
        login = await self._readers.run(
            lambda connection: queries.find_login(connection, credentials.tenant, credentials.email)
        )
        password_check = await self._passwords.verify(
            login.password_hash if login else None, credentials.password
        )
        tokens = (
            await self._open_session(login, password_check, client)
            if login and password_check.is_correct
            else None
        )
        if tokens is None:
            self._note_failure(credentials, login, client)
            raise WrongLogin
        return tokens

    async def change_password(self, caller: Caller, current: str, password: str, client: Client) -> None:
        """Change the caller's password, and end the user's other sessions.

        Raises NoSession for an API key, WrongPassword, TooManyLogIns or Invalid.
        """
        session_id = get_session_id(caller)
        caller_names = await self._sessions.describe_caller(caller)
        credentials = LoginCredentials(caller_names.tenant_slug, caller_names.email or "", current)
        require_strong_password(password, [name for name in (caller_names.email, caller_names.name) if name])
        attempt = self._throttle.start_attempt(credentials.account, client.address)
        login = await self._readers.run(
            lambda connection: queries.find_login(connection, credentials.tenant, credentials.email)
        )
        stored = login.password_hash if login else None
        if not (await self._passwords.verify(stored, current)).is_correct or stored is None:
            self._note_failure(credentials, login, client)
            raise WrongPassword
        self._throttle.record_success(attempt)
        hashed, now = await self._passwords.hash(password), self._now()

        def write(connection: Connection) -> None:
            set_tenant_scope(connection, [caller.tenant_id])
            owner = UserKey(caller.tenant_id, caller.user_id or 0)
            if not queries.replace_password_hash(connection, *owner, hashed, now, stored):
                raise WrongPassword  # the password was reset in the meantime
            queries.revoke_sessions_of_user(connection, *owner, "password changed", now, session_id)
            entry = build_session_entry(
                caller.tenant_id, caller.actor, "password.changed", session_id, client, now
            )
            record_entries(connection, [entry])

        await self._transactions.run(write)

    async def _is_known(self, credentials: LoginCredentials, attempt: Attempt) -> bool:
        here = hash_address(attempt.address)
        return await self._readers.run(
            lambda connection: queries.has_logged_in_from(
                connection, credentials.tenant, credentials.email, here
            )
        )

    async def _open_session(
        self, login: FoundLogin, password_check: PasswordCheck, client: Client
    ) -> Tokens | None:
        now = self._now()
        owner = UserKey(login.tenant_id, login.user_id or 0)  # a matching password implies a user
        session_id = await self._transactions.run(
            lambda connection: self._write(connection, owner, login, password_check, client, now)
        )
        return self._sessions.build_tokens(owner, session_id, 0, now) if session_id else None

    def _write(
        self, connection: Connection, owner: UserKey, login: FoundLogin, password_check: PasswordCheck,
        client: Client, now: datetime,
    ) -> str | None:  # fmt: skip
        set_tenant_scope(connection, [login.tenant_id])
        user = queries.find_user(connection, *owner)
        if user is None or not user.is_active:
            return None
        if not queries.lock_current_password(connection, *owner, login.password_hash or ""):
            return None  # the password was reset during the check, and the sessions have ended
        if not user.tenant_is_active:
            raise TenantSuspended
        if password_check.new_hash:
            queries.replace_password_hash(
                connection, *owner, password_check.new_hash, now, login.password_hash
            )
        session_id = self._sessions.open(connection, owner, client, now)
        entry = build_session_entry(
            login.tenant_id, user.audit_name, "login.succeeded", session_id, client, now
        )
        record_entries(connection, [entry])
        return session_id

    def _note_failure(self, credentials: LoginCredentials, login: FoundLogin | None, client: Client) -> None:
        _LOG.info("login refused", extra={"tenant": credentials.tenant, "address": client.address})
        if login is None:
            return  # no tenant, so there is no audit log to write to
        # Do not record an unknown e-mail address: it may be a password typed into the wrong field.
        email = credentials.email if login.user_id is not None else "an unknown account"
        self._audit_writer.add(
            AuditEntry(
                login.tenant_id,
                self._now(),
                email,
                "password",
                "login.failed",
                f"user:{email}",
                client.address,
                client.request_id,
            )
        )
