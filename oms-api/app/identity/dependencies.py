"""The gate that every request but health passes: key, scope, rate."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from app.edge import FastRequest
from app.errors import NotPlaced, Unavailable
from app.identity.rules import Caller, Scope
from app.identity.service import Authenticator, require
from app.rate_limit import RateLimiter

API_KEY_HEADER = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False)


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may pass, and how often."""

    authenticator: Authenticator
    limiter: RateLimiter

    async def admit(self, key: str | None, scope: Scope) -> Caller:
        """Return the caller. Raises NoValidKey, MissingScope or TooMany."""
        try:
            caller = await self.authenticator.authenticate(key)
        except Unavailable as error:
            raise NotPlaced(error.detail) if scope is Scope.TRADE else error from None
        self.limiter.take(caller.key_id)
        require(caller, scope)
        return caller

    async def admit_fast(self, request: FastRequest, scope: Scope) -> Caller:
        """Return the caller of a fast route, and note it for the log."""
        key = request.headers.get(b"x-api-key")
        caller = await self.admit(key.decode("latin-1") if key else None, scope)
        request.caller = caller.name
        return caller


def caller_with(scope: Scope) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return a FastAPI dependency: the caller, whose key has `scope`."""

    async def admit(request: Request, key: Annotated[str | None, Security(API_KEY_HEADER)]) -> Caller:
        gate: Gate = request.app.state.gate
        caller = await gate.admit(key, scope)
        request.state.edge.caller = caller.name
        return caller

    return admit


Reader = Annotated[Caller, Depends(caller_with(Scope.READ))]
Trader = Annotated[Caller, Depends(caller_with(Scope.TRADE))]
Administrator = Annotated[Caller, Depends(caller_with(Scope.ADMIN))]
