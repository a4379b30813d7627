"""The board of kill switches: turned at once, settled, and then answered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.clock import monotonic_seconds
from app.database.changes import Changes
from app.errors import NotPlaced
from app.identity.rules import Caller
from app.risk.queries.switches import SwitchChange, portfolios_of
from app.risk.rules.switches import SwitchScope
from app.risk.service.controls import Controls
from app.risk.service.switching import Turned, settle, turn

ANSWER_SECONDS = 1.0  # so long portfolios that somebody holds are tried before the answer
RETRY_SECONDS = 1.0
MOST_RETRIES = 600

Place = tuple[int, str]  # id and name of a portfolio


class Flatten(Protocol):
    """Cancel all orders of a scope, wait for the confirmations, and close its positions at market."""

    async def __call__(self, caller: Caller, scope: SwitchScope, key: str) -> dict[str, Any]:
        """Return the proof: what was cancelled, what was closed, what is left."""
        ...


class Stopped(NamedTuple):
    """What became of a turn: how many portfolios obey it for certain, the names of those that another session
    holds so long that nobody can trade in them, and what was flattened.
    """

    turned: Turned
    settled: int
    unsettled: list[str]
    flattened: dict[str, Any] | None


@dataclass(slots=True)
class SwitchBoard:
    """One for each process. `flatten` is given by whoever keeps the orders."""

    changes: Changes
    controls: Controls
    flatten: Flatten | None = None
    _retries: set[asyncio.Task[None]] = field(default_factory=set)

    async def turn(self, caller: Caller, change: SwitchChange, flattens: bool = False) -> Stopped:
        """Turn a switch and return when nothing that began before is under way.

        The turn is committed first, so that it acts even while some portfolio is locked by somebody else.
        """
        turned = await self._turn(caller.tenant_id, change)
        self.controls.forget(caller.tenant_id)
        settled, held = await self._settle(caller.tenant_id)
        if held:
            retry = asyncio.create_task(self._retry(caller.tenant_id, held))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        proof = None
        if flattens and self.flatten and not turned.replayed:
            proof = await self.flatten(caller, change.scope, change.key)
        return Stopped(turned, settled, [name for _, name in held], proof)

    async def _turn(self, tenant_id: int, change: SwitchChange) -> Turned:
        def write(connection: Connection) -> Turned:
            return turn(connection, tenant_id, change)

        try:
            return await self.changes.run(write)
        except IntegrityError:  # another process bound the key meanwhile: now it can be told
            return await self.changes.run(write)

    async def _settle(self, tenant_id: int) -> tuple[int, list[Place]]:
        """Settle all at once; where somebody holds one, each by itself."""
        try:
            return await self.changes.run(lambda connection: settle(connection, tenant_id)), []
        except NotPlaced:
            portfolios = await self.changes.run(lambda connection: portfolios_of(connection, tenant_id))
            held = await self._one_by_one(tenant_id, portfolios)
            return len(portfolios) - len(held), held

    async def _one_by_one(self, tenant_id: int, portfolios: Sequence[Place]) -> list[Place]:
        """Return those that could not be settled."""
        deadline = monotonic_seconds() + ANSWER_SECONDS
        held: list[Place] = []
        for place in portfolios:
            is_late = bool(held) and monotonic_seconds() > deadline
            if is_late or not await self._is_settled(tenant_id, place[0]):
                held.append(place)
        return held

    async def _is_settled(self, tenant_id: int, portfolio_id: int) -> bool:
        try:
            await self.changes.run(lambda connection: settle(connection, tenant_id, portfolio_id))
        except NotPlaced:
            return False
        return True

    async def _retry(self, tenant_id: int, held: Sequence[Place]) -> None:
        """Settle what somebody held, as soon as they let go."""
        for _ in range(MOST_RETRIES):
            held = await self._one_by_one(tenant_id, held)
            if not held:
                return
            await asyncio.sleep(RETRY_SECONDS)
