"""The board of kill switches: turned at once, settled, and then answered."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.audit.service import AuditEntry, record
from app.clock import monotonic_seconds
from app.database.changes import Changes
from app.errors import NotPlaced
from app.ledger.service.desk import Asking
from app.risk.queries.switches import SwitchChange, portfolios_of
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState
from app.risk.service.controls import Controls
from app.risk.service.switching import Turned, settle, turn

ANSWER_SECONDS = 1.0  # so long portfolios that somebody holds are tried before the answer
RETRY_SECONDS = 1.0
MOST_RETRIES = 600

Place = tuple[int, str]  # id and name of a portfolio
T = TypeVar("T")


class Flatten(Protocol):
    """Cancel all orders of a scope, wait for the confirmations, and close its positions at market."""

    async def __call__(self, asking: Asking, scope: SwitchScope, key: str) -> dict[str, Any]:
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

    async def turn(
        self, asking: Asking, change: SwitchChange, entry: AuditEntry, *, flattens: bool = False
    ) -> Stopped:
        """Turn a switch and return when nothing that began before is under way.

        It acts even while some portfolio is locked by somebody else.
        """
        tenant_id = asking.caller.tenant_id
        turned, settled, held = await self._turn(tenant_id, change, entry)
        self.controls.forget(tenant_id)
        if held:
            retry = asyncio.create_task(self._retry(tenant_id, held))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        proof = None
        if flattens and self.flatten and _is_to_flatten(turned):
            proof = await self.flatten(asking, change.scope, change.key)
        return Stopped(turned, settled, [name for _, name in held], proof)

    async def _turn(
        self, tenant_id: int, change: SwitchChange, entry: AuditEntry
    ) -> tuple[Turned, int, list[Place]]:
        """Turn and settle in one transaction; where somebody holds a portfolio, turn first and settle each by
        itself.
        """

        def at_once(connection: Connection) -> tuple[Turned, int]:
            turned = turn(connection, tenant_id, change)
            settled = settle(connection, tenant_id)
            record(connection, [] if turned.replayed else [entry])
            return turned, settled

        def first(connection: Connection) -> Turned:
            turned = turn(connection, tenant_id, change)
            record(connection, [] if turned.replayed else [entry])
            return turned

        try:
            return *await self._told_again(at_once, tenant_id), []
        except NotPlaced:
            turned = await self._told_again(first, tenant_id)
            portfolios = await self.changes.run(
                lambda connection: portfolios_of(connection, tenant_id), tenant_id
            )
            held = await self._one_by_one(tenant_id, portfolios)
            if not held:
                await self._is_settled(tenant_id)  # one that was being made was not among them
            return turned, len(portfolios) - len(held), held

    async def _told_again(self, write: Callable[[Connection], T], tenant_id: int) -> T:
        try:
            return await self.changes.run(write, tenant_id)
        except IntegrityError:  # another process bound the key meanwhile: now it can be told
            return await self.changes.run(write, tenant_id)

    async def _one_by_one(self, tenant_id: int, portfolios: Sequence[Place]) -> list[Place]:
        """Return those that could not be settled."""
        deadline = monotonic_seconds() + ANSWER_SECONDS
        held: list[Place] = []
        for place in portfolios:
            is_late = bool(held) and monotonic_seconds() > deadline
            if is_late or not await self._is_settled(tenant_id, place[0]):
                held.append(place)
        return held

    async def _is_settled(self, tenant_id: int, portfolio_id: int | None = None) -> bool:
        try:
            await self.changes.run(lambda connection: settle(connection, tenant_id, portfolio_id), tenant_id)
        except NotPlaced:
            return False
        return True

    async def _retry(self, tenant_id: int, held: Sequence[Place]) -> None:
        """Settle what somebody held, as soon as they let go, and what was being made meanwhile."""
        for _ in range(MOST_RETRIES):
            held = await self._one_by_one(tenant_id, held)
            if not held and await self._is_settled(tenant_id):
                return
            await asyncio.sleep(RETRY_SECONDS)


def _is_to_flatten(turned: Turned) -> bool:
    """Tell whether to flatten: asked again under its key too, for the first time may have ended half-way, but
    not once positions may have been opened on purpose.
    """
    return not turned.replayed or (turned.stands and turned.change.state is not TradingState.ACTIVE)
