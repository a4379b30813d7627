"""Set kill switches: store the state, apply it to portfolios, cancel orders, and only then respond."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.audit.service import AuditEntry, record_entries
from app.clock import monotonic_seconds
from app.database import execute_writes
from app.database.changes import ChangeWriter
from app.errors import NotPlaced, OmsError
from app.identity.rules.access import Caller
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.risk.queries.switches import PortfolioIdentity, SwitchChange, is_latest_change, list_portfolio_names
from app.risk.rules.switches import ExitPolicy, SwitchScope, UnconfirmedCancel
from app.risk.rules.values import TradingState
from app.risk.service.controls import Controls
from app.risk.service.kill_switch_activation import (
    AppliedChange,
    apply_states,
    build_unconfirmed_event,
    set_state,
)

MAX_RESPONSE_SECONDS = 0.9  # the response must be sent within a second
MAX_LOCK_WAIT_SECONDS = 0.5  # after the start, to try locked portfolios
MIN_WAIT_SECONDS = 0.2  # minimum wait for cancels
FLATTEN_SECONDS = 5.0  # wait for cancels before positions are closed
RETRY_SECONDS = 0.25
MAX_RETRIES = 2400

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class KillSwitchInstruction(NamedTuple):
    """The scope of a kill switch, and what it does with exits there."""

    scope: SwitchScope
    key: str
    exits: ExitPolicy


class KillSwitchEffect(NamedTuple):
    """The effect on orders.

    `canceled` are order ids, and `pending_portfolios` the names of portfolios whose orders are not canceled
    yet. `flattened` lists the canceled and closing orders, and the positions that remain. `unconfirmed` are
    the orders that brokers still have.
    """

    canceled: list[str]
    pending_portfolios: list[str]
    flattened: dict[str, Any] | None
    unconfirmed: tuple[UnconfirmedCancel, ...] = ()


NO_EFFECT = KillSwitchEffect([], [], None)


class KillSwitchOrderHandler(Protocol):
    """Cancels the orders in the scope of a kill switch, and closes the positions if the switch flattens."""

    async def __call__(
        self,
        request: AuthenticatedRequest,
        instruction: KillSwitchInstruction,
        locked: Collection[str],
        only: Collection[str] | None,
        seconds: float,
    ) -> KillSwitchEffect:
        """Cancel the orders within `seconds`, close positions, and return the effect.

        Portfolios in `locked`, which another session locks, are skipped. `only` limits the portfolios by
        name.
        """


class KillSwitchResult(NamedTuple):
    """The result of a change of a kill switch.

    `applied_portfolios` is the number of portfolios that obey it. `pending_portfolios` are the names of
    portfolios that another session locks (so that no trade is possible in them) or whose orders are not
    canceled yet. `unconfirmed` are the orders among them that a broker has not canceled yet.
    """

    applied: AppliedChange
    applied_portfolios: int
    pending_portfolios: list[str]
    canceled: list[str]
    flattened: dict[str, Any] | None
    unconfirmed: tuple[UnconfirmedCancel, ...] = ()


@dataclass(slots=True)
class KillSwitches:
    """Sets kill switches. One instance serves a process. `order_handler` is from the orders package."""

    changes: ChangeWriter
    controls: Controls
    order_handler: KillSwitchOrderHandler | None = None
    _retries: set[asyncio.Task[None]] = field(default_factory=set)

    async def set_state(
        self,
        request: AuthenticatedRequest,
        change: SwitchChange,
        entry: AuditEntry,
        exits: ExitPolicy | None = None,
    ) -> KillSwitchResult:
        """Set a switch, and return when no earlier transaction is in progress. With `exits`, cancel orders.

        It takes effect and returns within a second, even while another session locks some portfolios. These
        follow as soon as they are free. Raises the errors of `kill_switch_activation.set_state`.
        """
        caller, started = request.caller, monotonic_seconds()
        tenant_id = caller.tenant_id
        applied, applied_portfolios, locked = await self._set_and_apply(
            caller, change, entry, started + MAX_LOCK_WAIT_SECONDS
        )
        self.controls.invalidate(tenant_id)
        names, effect = [name for _, name in locked], NO_EFFECT
        instruction = (
            KillSwitchInstruction(change.scope, change.key, exits)
            if exits and _must_cancel_orders(applied)
            else None
        )
        if instruction and self.order_handler:
            remaining_seconds = max(MAX_RESPONSE_SECONDS - (monotonic_seconds() - started), MIN_WAIT_SECONDS)
            seconds = FLATTEN_SECONDS if instruction.exits is ExitPolicy.FLATTEN else remaining_seconds
            effect = await self.order_handler(request, instruction, names, None, seconds)
        pending_portfolios = sorted({*names, *effect.pending_portfolios})
        if pending_portfolios:
            retry = asyncio.create_task(
                self._retry(request, applied.change, locked, instruction, pending_portfolios)
            )
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        if effect.unconfirmed:
            await self._publish(tenant_id, applied.change, effect.unconfirmed)
        return KillSwitchResult(
            applied,
            applied_portfolios,
            pending_portfolios,
            effect.canceled,
            effect.flattened,
            effect.unconfirmed,
        )

    async def _publish(
        self, tenant_id: int, change: SwitchChange, unconfirmed: Sequence[UnconfirmedCancel]
    ) -> None:
        """Publish the orders that their brokers still have. The response names them too, if this fails."""
        event = build_unconfirmed_event(
            tenant_id, change, [unconfirmed_cancel._asdict() for unconfirmed_cancel in unconfirmed]
        )
        try:
            await self.changes.run(lambda connection: execute_writes(connection, event), tenant_id)
        except OmsError as error:
            _LOG.warning("orders that brokers still have were not published: %s", error.detail)

    async def _set_and_apply(
        self, caller: Caller, change: SwitchChange, entry: AuditEntry, deadline: float
    ) -> tuple[AppliedChange, int, list[PortfolioIdentity]]:
        """Set and apply in one transaction.

        If another session locks a portfolio, set first, apply to the free portfolios, and then try the others
        one by one.
        """
        tenant_id = caller.tenant_id

        def set_and_apply(connection: Connection) -> tuple[AppliedChange, int]:
            applied = set_state(connection, tenant_id, change, caller)
            portfolio_ids = apply_states(connection, tenant_id)
            record_entries(connection, [] if applied.is_replay else [entry])
            return applied, len(portfolio_ids)

        def set_switch(connection: Connection) -> AppliedChange:
            applied = set_state(connection, tenant_id, change, caller)
            record_entries(connection, [] if applied.is_replay else [entry])
            return applied

        def apply_to_free_portfolios(connection: Connection) -> tuple[list[PortfolioIdentity], set[int]]:
            return list_portfolio_names(connection, tenant_id), apply_states(
                connection, tenant_id, skips_locked=True
            )

        try:
            return *await self._run_twice(set_and_apply, tenant_id), []
        except NotPlaced:
            applied = await self._run_twice(set_switch, tenant_id)
            portfolios, applied_ids = await self.changes.run(apply_to_free_portfolios, tenant_id)
            skipped = [portfolio for portfolio in portfolios if portfolio.id not in applied_ids]
            locked = await self._apply_one_by_one(tenant_id, skipped, deadline)
            if not locked:
                await self._is_applied(tenant_id)  # includes portfolios that were being created
            return applied, len(portfolios) - len(locked), locked

    async def _run_twice(self, write: Callable[[Connection], T], tenant_id: int) -> T:
        try:
            return await self.changes.run(write, tenant_id)
        except IntegrityError:  # another process has used the key meanwhile; the retry finds it
            return await self.changes.run(write, tenant_id)

    async def _apply_one_by_one(
        self, tenant_id: int, portfolios: Sequence[PortfolioIdentity], deadline: float
    ) -> list[PortfolioIdentity]:
        """Return the portfolios to which the state could not be applied."""
        locked: list[PortfolioIdentity] = []
        for portfolio in portfolios:
            is_late = bool(locked) and monotonic_seconds() > deadline
            if is_late or not await self._is_applied(tenant_id, portfolio.id):
                locked.append(portfolio)
        return locked

    async def _is_applied(self, tenant_id: int, portfolio_id: int | None = None) -> bool:
        try:
            await self.changes.run(
                lambda connection: apply_states(connection, tenant_id, portfolio_id), tenant_id
            )
        except NotPlaced:
            return False
        return True

    async def _retry(
        self,
        request: AuthenticatedRequest,
        change: SwitchChange,
        locked: Sequence[PortfolioIdentity],
        instruction: KillSwitchInstruction | None,
        pending_portfolios: list[str],
    ) -> None:
        """Apply the state to locked portfolios as soon as they are free, and to portfolios created meanwhile.

        Cancel the orders there, as long as the change is the newest change of its switch.
        """
        for _ in range(MAX_RETRIES):
            await asyncio.sleep(RETRY_SECONDS)
            try:
                locked, pending_portfolios = await self._apply_again(
                    request, change, locked, instruction, pending_portfolios
                )
                if not pending_portfolios and await self._is_applied(request.caller.tenant_id):
                    return
            except OmsError as error:
                _LOG.warning("the kill switch is not in effect everywhere yet: %s", error.detail)

    async def _apply_again(
        self,
        request: AuthenticatedRequest,
        change: SwitchChange,
        locked: Sequence[PortfolioIdentity],
        instruction: KillSwitchInstruction | None,
        pending_portfolios: list[str],
    ) -> tuple[list[PortfolioIdentity], list[str]]:
        """Return the portfolios that are still locked, and the names of all unfinished portfolios."""
        still_locked = await self._apply_one_by_one(request.caller.tenant_id, locked, monotonic_seconds())
        names = [name for _, name in still_locked]
        if (
            not instruction
            or not self.order_handler
            or not await self._is_latest_change(request.caller.tenant_id, change)
        ):
            return still_locked, names
        effect = await self.order_handler(request, instruction, names, pending_portfolios, FLATTEN_SECONDS)
        return still_locked, sorted({*names, *effect.pending_portfolios})

    async def _is_latest_change(self, tenant_id: int, change: SwitchChange) -> bool:
        return await self.changes.run(
            lambda connection: is_latest_change(connection, tenant_id, change), tenant_id
        )


def _must_cancel_orders(applied: AppliedChange) -> bool:
    """Return whether to cancel orders and flatten positions.

    A replayed request does so too, because the first attempt may have stopped half-way. It does not if the
    switch was changed in the meantime, because positions may then have been opened on purpose.
    """
    return not applied.is_replay or (applied.is_latest and applied.change.state is not TradingState.ACTIVE)
