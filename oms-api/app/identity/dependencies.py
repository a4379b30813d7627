"""The gate that every request but health passes: key, scope, rate."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

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
        caller = await self.authenticator.authenticate(key)
        self.limiter.take(caller.key_id)
        require(caller, scope)
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
