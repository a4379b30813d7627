"""Authentication of every request except health checks: key or token, person, rate limit and permission."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from app.audit.service import AuditWriter
from app.clock import Now
from app.errors import Malformed, NotPlaced, OmsError, Unavailable
from app.http.app_state import Component, get_request_info
from app.http.direct_routes import RequestInfo
from app.identity.errors import ActingNotAllowed, NotAllowed, NoValidKey, OperatorRequired, PersonRequired
from app.identity.rules.access import PERMISSION_RULES, Caller, Operation, PermissionRule
from app.identity.rules.workspace_statements import StatementReader
from app.identity.service.authenticator import ActingPeople, Authenticator, RequestClient
from app.identity.service.caller_entries import build_caller_entry
from app.identity.service.logins import LoginService
from app.identity.service.sessions import LoginSessions
from app.rate_limit import RateLimiter

API_KEY_HEADER = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False)
BEARER = HTTPBearer(scheme_name="Bearer", description="An access token of POST /auth/login", auto_error=False)
_WRITE_OPERATIONS = frozenset(
    {
        Operation.REPORT_TRADE,
        Operation.REVERSE_TRADE,
        Operation.PLACE_ORDER,
        Operation.CHANGE_ORDER,
        Operation.CANCEL_ORDER,
        Operation.CLOSE_POSITION,
        Operation.DECIDE_APPROVAL,
        Operation.REQUEST_OVERRIDE,
    }
)


@dataclass(frozen=True, slots=True)
class Authentication:
    """Authenticates callers, limits their rate and checks their permissions."""

    authenticator: Authenticator
    people: ActingPeople
    sessions: LoginSessions
    limiter: RateLimiter
    audit_writer: AuditWriter
    now: Now

    async def authorize(self, request: RequestInfo, operation: Operation) -> Caller:
        """Authenticate and authorize the caller, and add it to the request's log record.

        Raises an OmsError if the caller is refused.
        """
        caller = await self.authenticate(request, operation)
        if not caller.is_allowed(operation):
            raise _build_error(caller, PERMISSION_RULES[operation])
        return caller

    async def authenticate(self, request: RequestInfo, operation: Operation) -> Caller:
        """Authenticate the caller and count the request, without a permission check.

        Raises an OmsError if the credentials are refused.
        """
        self.limiter.check_address(request.address)
        try:
            caller = await self._find_caller(request, operation)
        except Unavailable as error:
            raise NotPlaced(error.detail) if operation in _WRITE_OPERATIONS else error from None
        except OmsError:
            self.limiter.charge_address(request.address)
            raise
        self.count(request, caller)
        return caller

    def find_authorized_caller(self, request: RequestInfo, operation: Operation) -> Caller | None:
        """Return the caller without a query, or None if that is not possible or the caller is refused.

        Count nothing. Raises an OmsError if the credentials cannot be valid.
        """
        headers = request.headers
        key, bearer = headers.get(b"x-api-key"), headers.get(b"authorization")
        person = headers.get(b"x-on-behalf-of")
        if bearer is None:
            caller = self.authenticator.find_cached(key.decode("latin-1") if key else None)
            if caller is not None and person is not None:
                caller = self.people.find_cached(caller, person.decode("latin-1"))
        else:
            caller = None if key or person else self.sessions.find_cached(_parse_token(bearer))
        return caller if caller is not None and caller.is_allowed(operation) else None

    def count(self, request: RequestInfo, caller: Caller) -> None:
        """Count the request of a caller against the rate limits, and add both to the log.

        Raises OverLimit.
        """
        request.caller = caller.name if caller.person is None else f"{caller.person} via {caller.name}"
        request.rate = self.limiter.take(get_rate_limit_key(caller), caller.tenant_id, request.address)

    async def is_still_authorized(self, request: RequestInfo, operation: Operation) -> bool:
        """Return whether the admitted caller would still be admitted. Do not count the request."""
        try:
            return (await self._find_caller(request, operation)).is_allowed(operation)
        except OmsError:
            return False

    async def find_caller(self, request: RequestInfo, operation: Operation) -> Caller | None:
        """Return the admitted caller as it is now, or None if it would not be admitted any more.

        Do not count the request. Raises Unavailable.
        """
        try:
            return await self._find_caller(request, operation)
        except Unavailable:
            raise
        except OmsError:
            return None

    def count_unauthenticated(self, request: RequestInfo) -> None:
        """Count an unauthenticated request against the rate of its address. Raises TooMany."""
        self.limiter.check_address(request.address)
        self.limiter.charge_address(request.address)

    def _record_denial(self, request: RequestInfo, caller: Caller, operation: Operation) -> None:
        self.audit_writer.add(build_caller_entry(caller, request, self.now(), "denied", operation.value))

    async def _find_caller(self, request: RequestInfo, operation: Operation) -> Caller:
        headers = request.headers
        key, bearer = headers.get(b"x-api-key"), headers.get(b"authorization")
        person = headers.get(b"x-on-behalf-of")
        if bearer is not None and key is not None:
            raise Malformed("Send either X-API-Key or Authorization, not both.")
        if bearer is not None:
            caller = await self.sessions.authenticate(_parse_token(bearer))
        else:
            caller = await self.authenticator.authenticate(key.decode("latin-1") if key else None)
        request.on_denied = partial(self._record_denial, request, caller, operation)
        if person is None:
            return caller
        if bearer is not None:
            # users act for themselves; a key that acts for others is recorded with every row
            raise ActingNotAllowed
        client = RequestClient(request.address, request.request_id)
        caller = await self.people.find_acting_caller(caller, person.decode("latin-1"), client)
        request.on_denied = partial(self._record_denial, request, caller, operation)
        return caller


def _build_error(caller: Caller, rule: PermissionRule) -> OmsError:
    if rule.operator_only and caller.scopes & rule.required_scopes:
        return OperatorRequired()
    if rule.requires_person and caller.scopes & rule.required_scopes and caller.person is None:
        return PersonRequired()
    return NotAllowed(rule.required_scopes, caller.role, is_narrowed=caller.portfolios is not None)


def get_rate_limit_key(caller: Caller) -> str:
    """Return the name of the caller's rate limit: per key, per person of a key, or per user of sessions."""
    if caller.person is None:
        return caller.key_id
    return f"{caller.key_id.partition(':')[0]}|{caller.tenant_id}|{caller.person}"


def _parse_token(header: bytes) -> str:
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NoValidKey
    return token.strip()


AUTHENTICATION = Component[Authentication]("authentication")
AuthenticationDep = Annotated[Authentication, Depends(AUTHENTICATION)]
LOGIN_SERVICE = Component[LoginService]("login_service")
LoginServiceDep = Annotated[LoginService, Depends(LOGIN_SERVICE)]
SESSIONS = Component[LoginSessions]("sessions")
SessionsDep = Annotated[LoginSessions, Depends(SESSIONS)]
STATEMENTS = Component[StatementReader]("statements")
StatementsDep = Annotated[StatementReader, Depends(STATEMENTS)]


async def count_unauthenticated(request: Request) -> None:
    """Apply the rate limit of the client's address. A FastAPI dependency of routes without authentication."""
    AUTHENTICATION.get(request).count_unauthenticated(get_request_info(request))


def require_permission(operation: Operation) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return a FastAPI dependency that authenticates the caller and requires permission for the operation."""

    async def authorize(
        request: Request, _key: Annotated[str | None, Security(API_KEY_HEADER)],
        _bearer: Annotated[object, Security(BEARER)],
    ) -> Caller:  # fmt: skip
        return await AUTHENTICATION.get(request).authorize(get_request_info(request), operation)

    roles = [role.value for role in PERMISSION_RULES[operation].list_roles()]
    authorize.describes = {"x-operation": operation.value, "x-roles": roles}  # type: ignore[attr-defined]  # for OpenAPI
    return authorize


ReadBooksCaller = Annotated[Caller, Depends(require_permission(Operation.READ_BOOKS))]
