"""The board of kill switches: turned at once, settled, and then answered."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.audit.service import AuditEntry, record
from app.clock import monotonic_seconds
from app.database.changes import Changes
from app.errors import NotPlaced, OmsError
from app.ledger.service.trade_service import Asking
from app.risk.queries.switches import SwitchChange, portfolios_of, stands
from app.risk.rules.switches import ExitPolicy, SwitchScope
from app.risk.rules.values import TradingState
from app.risk.service.controls import Controls
from app.risk.service.kill_switch_activation import Turned, apply_states, set_state

ANSWER_SECONDS = 0.9  # of the second within which a turn is answered
PROBE_SECONDS = 0.5  # so long after its start portfolios that somebody holds are tried
LEAST_SECONDS = 0.2  # so long it waits for cancels at least
FLATTEN_SECONDS = 5.0  # it waits for the cancels before it closes
RETRY_SECONDS = 0.25
MOST_RETRIES = 2400

Place = tuple[int, str]  # id and name of a portfolio
T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Stop(NamedTuple):
    """What becomes of the orders and positions of a switch's scope."""

    scope: SwitchScope
    key: str
    exits: ExitPolicy


class Effect(NamedTuple):
    """What became of orders: the ids of those cancelled, the names of portfolios whose orders are not yet
    cancelled, and the proof of a flatten (what was cancelled, what was closed, what is left).
    """

    canceled: list[str]
    unsettled: list[str]
    flattened: dict[str, Any] | None


NO_EFFECT = Effect([], [], None)


class StopOrders(Protocol):
    """Cancel the orders of a scope, and close its positions where it is to be flattened."""

    async def __call__(
        self, asking: Asking, stop: Stop, held: Collection[str], only: Collection[str] | None, seconds: float
    ) -> Effect:
        """Return what was done within `seconds`, but not to portfolios that somebody holds; to `only` those
        named.
        """
        ...


class Stopped(NamedTuple):
    """What became of a turn: how many portfolios obey it for certain, the names of those that another session
    holds so long that nobody can trade in them or whose orders are not yet cancelled, and what was cancelled
    and flattened.
    """

    turned: Turned
    settled: int
    unsettled: list[str]
    canceled: list[str]
    flattened: dict[str, Any] | None


@dataclass(slots=True)
class KillSwitches:
    """One for each process. `stop_orders` is given by whoever keeps the orders."""

    changes: Changes
    controls: Controls
    stop_orders: StopOrders | None = None
    _retries: set[asyncio.Task[None]] = field(default_factory=set)

    async def set_state(
        self, asking: Asking, change: SwitchChange, entry: AuditEntry, exits: ExitPolicy | None = None
    ) -> Stopped:
        """Turn a switch and return when nothing that began before is under way. With `exits` cancel what it
        forbids.

        It acts, and answers within a second, even while some portfolio is locked by somebody else: what is
        unsettled then is settled as soon as it is free.
        """
        tenant_id, started = asking.caller.tenant_id, monotonic_seconds()
        turned, settled, held = await self._set_and_apply(tenant_id, change, entry, started + PROBE_SECONDS)
        self.controls.forget(tenant_id)
        names, effect = [name for _, name in held], NO_EFFECT
        stop = Stop(change.scope, change.key, exits) if exits and _is_to_stop(turned) else None
        if stop and self.stop_orders:
            left = max(ANSWER_SECONDS - (monotonic_seconds() - started), LEAST_SECONDS)
            seconds = FLATTEN_SECONDS if stop.exits is ExitPolicy.FLATTEN else left
            effect = await self.stop_orders(asking, stop, names, None, seconds)
        unsettled = sorted({*names, *effect.unsettled})
        if unsettled:
            retry = asyncio.create_task(self._retry(asking, turned.change, held, stop, unsettled))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        return Stopped(turned, settled, unsettled, effect.canceled, effect.flattened)

    async def _set_and_apply(
        self, tenant_id: int, change: SwitchChange, entry: AuditEntry, deadline: float
    ) -> tuple[Turned, int, list[Place]]:
        """Turn and settle in one transaction; where somebody holds a portfolio, turn first, settle those that
        are free, and try the others one by one.
        """

        def at_once(connection: Connection) -> tuple[Turned, int]:
            turned = set_state(connection, tenant_id, change)
            settled = apply_states(connection, tenant_id)
            record(connection, [] if turned.replayed else [entry])
            return turned, len(settled)

        def first(connection: Connection) -> Turned:
            turned = set_state(connection, tenant_id, change)
            record(connection, [] if turned.replayed else [entry])
            return turned

        def free(connection: Connection) -> tuple[list[Place], set[int]]:
            return portfolios_of(connection, tenant_id), apply_states(
                connection, tenant_id, skips_locked=True
            )

        try:
            return *await self._run_twice(at_once, tenant_id), []
        except NotPlaced:
            turned = await self._run_twice(first, tenant_id)
            portfolios, settled = await self.changes.run(free, tenant_id)
            locked = [place for place in portfolios if place[0] not in settled]
            held = await self._one_by_one(tenant_id, locked, deadline)
            if not held:
                await self._is_settled(tenant_id)  # one that was being made was not among them
            return turned, len(portfolios) - len(held), held

    async def _run_twice(self, write: Callable[[Connection], T], tenant_id: int) -> T:
        try:
            return await self.changes.run(write, tenant_id)
        except IntegrityError:  # another process bound the key meanwhile: now it can be told
            return await self.changes.run(write, tenant_id)

    async def _one_by_one(self, tenant_id: int, portfolios: Sequence[Place], deadline: float) -> list[Place]:
        """Return those that could not be settled."""
        held: list[Place] = []
        for place in portfolios:
            is_late = bool(held) and monotonic_seconds() > deadline
            if is_late or not await self._is_settled(tenant_id, place[0]):
                held.append(place)
        return held

    async def _is_settled(self, tenant_id: int, portfolio_id: int | None = None) -> bool:
        try:
            await self.changes.run(
                lambda connection: apply_states(connection, tenant_id, portfolio_id), tenant_id
            )
        except NotPlaced:
            return False
        return True

    async def _retry(
        self,
        asking: Asking,
        change: SwitchChange,
        held: Sequence[Place],
        stop: Stop | None,
        unsettled: list[str],
    ) -> None:
        """Settle what somebody held, as soon as they let go, and what was being made meanwhile; and cancel
        there what is to be cancelled, while the turn is the newest of its switch.
        """
        for _ in range(MOST_RETRIES):
            await asyncio.sleep(RETRY_SECONDS)
            try:
                held, unsettled = await self._apply_again(asking, change, held, stop, unsettled)
                if not unsettled and await self._is_settled(asking.caller.tenant_id):
                    return
            except OmsError as refusal:
                _LOG.warning("the kill switch is not settled yet: %s", refusal.detail)

    async def _apply_again(
        self,
        asking: Asking,
        change: SwitchChange,
        held: Sequence[Place],
        stop: Stop | None,
        unsettled: list[str],
    ) -> tuple[list[Place], list[str]]:
        """Return the portfolios that are still held, and the names of all that are not settled."""
        still = await self._one_by_one(asking.caller.tenant_id, held, monotonic_seconds())
        names = [name for _, name in still]
        if not stop or not self.stop_orders or not await self._stands(asking.caller.tenant_id, change):
            return still, names
        effect = await self.stop_orders(asking, stop, names, unsettled, FLATTEN_SECONDS)
        return still, sorted({*names, *effect.unsettled})

    async def _stands(self, tenant_id: int, change: SwitchChange) -> bool:
        return await self.changes.run(lambda connection: stands(connection, tenant_id, change), tenant_id)


def _is_to_stop(turned: Turned) -> bool:
    """Tell whether to cancel and flatten: asked again under its key too, for the first time may have ended
    half-way, but not once positions may have been opened on purpose.
    """
    return not turned.replayed or (turned.stands and turned.change.state is not TradingState.ACTIVE)
