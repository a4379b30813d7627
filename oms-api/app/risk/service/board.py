"""The board of kill switches: turned at once, settled, and then answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.database.changes import Changes
from app.identity.rules import Caller
from app.risk.queries.switches import SwitchChange
from app.risk.rules.switches import SwitchScope
from app.risk.service.controls import Controls
from app.risk.service.switching import Turned, settle, turn

Settle = Callable[[int], Awaitable[int]]


class Flatten(Protocol):
    """Cancel all orders of a scope, wait for the confirmations, and close its positions at market."""

    async def __call__(self, caller: Caller, scope: SwitchScope, key: str) -> dict[str, Any]:
        """Return the proof: what was cancelled, what was closed, what is left."""
        ...


class Stopped(NamedTuple):
    """What became of a turn: the tenant's portfolios that obey it for certain, and what was flattened."""

    turned: Turned
    portfolios: int
    flattened: dict[str, Any] | None


@dataclass(slots=True)
class SwitchBoard:
    """One for each process. `settle` and `flatten` are given by whoever keeps the orders."""

    changes: Changes
    controls: Controls
    settle: Settle | None = None
    flatten: Flatten | None = None

    async def turn(self, caller: Caller, change: SwitchChange, flattens: bool = False) -> Stopped:
        """Turn a switch and return when nothing that began before is under way.

        The turn is committed first, so that it acts even while some portfolio is locked by somebody else.
        """
        turned = await self._turn(caller.tenant_id, change)
        self.controls.forget(caller.tenant_id)
        portfolios = await (self.settle or self._settle)(caller.tenant_id)
        proof = None
        if flattens and self.flatten and not turned.replayed:
            proof = await self.flatten(caller, change.scope, change.key)
        return Stopped(turned, portfolios, proof)

    async def _turn(self, tenant_id: int, change: SwitchChange) -> Turned:
        def write(connection: Connection) -> Turned:
            return turn(connection, tenant_id, change)

        try:
            return await self.changes.run(write)
        except IntegrityError:  # another process bound the key meanwhile: now it can be told
            return await self.changes.run(write)

    async def _settle(self, tenant_id: int) -> int:
        return await self.changes.run(lambda connection: settle(connection, tenant_id))
