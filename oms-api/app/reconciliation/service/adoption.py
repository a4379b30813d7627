"""Adopt a broker's position or order: the writer books a trade, or stores the order."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.group_commit import GroupCommit
from app.identity.service.change_executor import ChangeRequest
from app.ledger.rules.chain import hash_request
from app.ledger.rules.keys import build_adoption_key
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.money import ZERO
from app.orders.service.command_results import Outcome
from app.orders.service.commands import AdoptOrder, WriterCommand
from app.reconciliation import queries
from app.reconciliation.errors import FiguresChanged, OrderNotAdoptable, SeveralProducts
from app.reconciliation.queries import Issue
from app.reconciliation.rules.adoption import AdoptionTrade, build_adoption_trade
from app.reconciliation.rules.differences import HeldAmount, IssueType, format_quantity
from app.reconciliation.rules.order_terms import MAX_ID_LENGTH, parse_ticket
from app.reconciliation.service.issues import load_resolvable_issue
from app.text import name_key

ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class Adoption:
    """Books adopted positions, and stores adopted orders. One instance serves a process.

    The trade has the issue's id as its idempotency key, so that a repeated request books it once.
    """

    writer: "GroupCommit[WriterCommand, Outcome]"
    readers: Readers
    now: Now

    async def adopt(self, request: ChangeRequest, issue_id: str, reason: str) -> None:
        """Book the trade of an open issue, or store its order. Do nothing if the issue is resolved.

        Raises NoSuchIssue, ActionNotPossible, PersonNeeded, FiguresChanged, SeveralProducts,
        OrderNotAdoptable, NotAtBroker, and the errors that refuse a reported trade.
        """
        tenant_id = request.caller.tenant_id
        command = await self.readers.run(
            lambda connection: self._build_command(connection, request, issue_id, reason), tenant_id
        )
        if command is not None:
            await self.writer.submit(command)

    def _build_command(
        self, connection: Connection, request: ChangeRequest, issue_id: str, reason: str
    ) -> RecordTrade | AdoptOrder | None:
        issue = load_resolvable_issue(connection, request.caller, issue_id, ADOPT)
        if issue.status == "resolved":
            return None
        if issue.type == IssueType.UNKNOWN_ORDER:
            return self._build_order_command(request, issue, reason)
        product, trade = _load_adoption_trade(connection, issue)
        if trade is None:
            return None
        return RecordTrade(
            origin=self._build_origin(request, issue_id), symbol=issue.symbol or "", product=product,
            side=trade.side, trade=compute_trade_value(trade.quantity, trade.value, None),
            portfolio_name=issue.portfolio_name, portfolio_name_key=name_key(issue.portfolio_name),
            note=f"Adopted from the broker: {reason}", charges=ZERO,
        )  # fmt: skip

    def _build_order_command(self, request: ChangeRequest, issue: Issue, reason: str) -> AdoptOrder:
        order_id = issue.order_id or ""
        if len(order_id) > MAX_ID_LENGTH or issue.details is None:
            raise OrderNotAdoptable(order_id)
        return AdoptOrder(
            self._build_origin(request, issue.id)._replace(idempotency_key=None), order_id,
            parse_ticket(issue.symbol or "", issue.details, reason),
            issue.portfolio_name, name_key(issue.portfolio_name),
        )  # fmt: skip

    def _build_origin(self, request: ChangeRequest, issue_id: str) -> CommandOrigin:
        caller, key = request.caller, build_adoption_key(issue_id)
        return CommandOrigin(
            tenant_id=caller.tenant_id,
            source=caller.name,
            user_label=None,
            at=self.now(),
            idempotency_key=key,
            request_hash=hash_request(key),
            actor=caller.person,
            request_id=request.request_id,
        )


def _load_adoption_trade(connection: Connection, issue: Issue) -> tuple[str, AdoptionTrade | None]:
    """Return the product and the trade that makes our position equal to the broker's."""
    stored_positions = queries.list_positions(connection, issue.tenant_id, issue.portfolio_id).get(
        issue.symbol or "", []
    )
    if len(stored_positions) > 1:
        raise SeveralProducts(issue.symbol or "")
    stored = queries.get_held_amount(stored_positions[0]) if stored_positions else HeldAmount()
    if format_quantity(stored.quantity) != issue.ours:
        raise FiguresChanged(issue.id)
    reported = HeldAmount(Decimal(issue.theirs or 0), Decimal(issue.details or 0))
    return (
        stored_positions[0].product if stored_positions else "",
        build_adoption_trade(stored, reported),
    )
