"""Book corporate actions in all portfolios that they concern, through the order writer."""

import asyncio
import logging
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from app.clock import Now
from app.corporate_actions import queries
from app.corporate_actions.queries import ActionRecord
from app.corporate_actions.service.changes import BOOKED_BY, record_booking
from app.database import Readers, set_all_tenants_scope
from app.database.changes import ChangeWriter
from app.errors import OmsError
from app.group_commit import GroupCommit
from app.ledger.service.commands import CommandOrigin
from app.orders.service.command_results import CorporateActionResult, Outcome
from app.orders.service.commands import ApplyCorporateAction, WriterCommand
from app.periodic_tasks import repeat
from app.timestamps import format_timestamp

CHECK_PERIOD_SECONDS = 30.0  # an action takes effect at midnight, hours before the open
_MAX_PORTFOLIOS_PER_BATCH = 200
_MAX_ROUNDS = 5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CorporateActions:
    """Books and reverses corporate actions. One instance serves a process."""

    writer: "GroupCommit[WriterCommand, Outcome]"
    readers: Readers
    changes: ChangeWriter
    now: Now

    async def run(self) -> None:
        """Book the actions that take effect, repeatedly, until canceled."""
        await asyncio.sleep(CHECK_PERIOD_SECONDS)
        await repeat(self.book_due, CHECK_PERIOD_SECONDS, "corporate actions were not checked", _LOG)

    async def book_due(self) -> None:
        """Book the actions of all tenants that have taken effect."""
        now = self.now()

        def read(connection: Connection) -> list[ActionRecord]:
            return queries.list_due_actions(set_all_tenants_scope(connection), now)

        for due_action in await self.readers.run(read):
            await self.book(due_action)

    async def book(self, created: ActionRecord) -> None:
        """Book an action if it has taken effect.

        If a portfolio refuses it, the action stays pending and is tried again.
        """
        action, now = created.action, self.now()
        if action.effective_at > format_timestamp(now):
            return
        try:
            await self._apply(created, created.created_by, is_reversal=False)
        except OmsError as error:
            _LOG.warning("corporate action %s is pending: %s", action.id, error.detail)
            return
        await self.changes.run(lambda connection: record_booking(connection, action, now), action.tenant_id)

    async def reverse(self, created: ActionRecord, actor: str) -> None:
        """Reverse an action in all portfolios. A repeat changes nothing."""
        await self._apply(created, actor, is_reversal=True)

    async def _apply(self, created: ActionRecord, actor: str, *, is_reversal: bool) -> None:
        """Apply the action until a repeat changes nothing: then every reported outcome is committed."""
        action = created.action
        for _ in range(_MAX_ROUNDS):
            named_portfolios = await self.readers.read(
                action.tenant_id, queries.list_portfolios, action.symbol
            )
            origin = CommandOrigin(
                tenant_id=action.tenant_id,
                source=BOOKED_BY,
                user_label=None,
                at=self.now(),
                idempotency_key=None,
                request_hash=None,
                actor=actor,
            )
            commands = [
                ApplyCorporateAction(origin, named_portfolio.id, action, is_reversal)
                for named_portfolio in named_portfolios
            ]
            if not await self._submit(commands):
                return

    async def _submit(self, commands: list[ApplyCorporateAction]) -> bool:
        """Return whether one of the commands changed its portfolio.

        A portfolio that refuses the action stops no other. The first refusal is raised at the end.
        """
        outcomes: list[Outcome | BaseException] = []
        remaining_commands = iter(commands)
        while chunk := list(islice(remaining_commands, _MAX_PORTFOLIOS_PER_BATCH)):
            outcomes += await asyncio.gather(*self.writer.submit_all(chunk), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return any(isinstance(outcome, CorporateActionResult) and outcome.is_changed for outcome in outcomes)
