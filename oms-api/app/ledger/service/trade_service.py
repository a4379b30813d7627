"""The entry point for trades: validate the report, submit it to the writer, and wait for the commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.clock import Now
from app.errors import FieldError, Invalid, OmsError
from app.group_commit import GroupCommit
from app.identity.errors import NotYourPortfolio
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import (
    ReportedTrade,
    TradeLimits,
    TradeValue,
    compute_trade_value,
    list_execution_time_errors,
    list_trade_errors,
)
from app.ledger.service.commands import CommandOrigin, LedgerCommand, RecordedTrade, RecordTrade, ReverseTrade
from app.money import format_fixed
from app.text import name_key
from app.timestamps import format_timestamp

NO_PRODUCT = ""


@dataclass(frozen=True, slots=True)
class TradeService:
    """Accepts reports and reversals of trades. One instance serves a process."""

    writer: "GroupCommit[LedgerCommand, RecordedTrade]"
    limits: TradeLimits
    now: Now

    def submit(self, command: RecordTrade) -> "asyncio.Future[RecordedTrade]":
        """Queue a trade. The future resolves once it is committed."""
        return self.writer.submit(command)

    async def record_commands(self, commands: Sequence[LedgerCommand]) -> list[RecordedTrade | OmsError]:
        """Record many trades in order. A refused one returns its error."""
        return [await _await_outcome(future) for future in self.writer.submit_all(commands)]

    async def reverse(self, request: AuthenticatedRequest, trade_id: str, reason: str) -> RecordedTrade:
        """Reverse a trade and return the reversal once it is committed."""
        request_hash = hash_request(trade_id, reason) if request.idempotency_key else None
        origin = self._build_origin(request, None, request_hash, self.now())
        return await self.writer.submit(ReverseTrade(origin, trade_id, reason))

    def build_record_command(
        self, request: AuthenticatedRequest, report: ReportedTrade, prefix: str = ""
    ) -> RecordTrade:
        """Return the command that records a report.

        Raises Invalid if the trade exceeds the limits, and NotYourPortfolio. `prefix` is put before the names
        of invalid fields ("trades.3.").
        """
        now = self.now()
        trade_value = compute_trade_value(report.quantity, report.gmv, report.price)
        errors = list_trade_errors(trade_value, self.limits, "price" if report.gmv is None else "gmv")
        errors += list_execution_time_errors(report.executed_at, now)
        if errors:
            field_errors = [FieldError(f"{prefix}{bad.field}", bad.message, bad.code) for bad in errors]
            raise Invalid(errors[0].message, field_errors)
        portfolio_name_key = name_key(report.portfolio_name)
        if not request.caller.can_see(portfolio_name_key):
            raise NotYourPortfolio
        request_hash = (
            _hash_report(report, trade_value, portfolio_name_key) if request.idempotency_key else None
        )
        return RecordTrade(
            origin=self._build_origin(request, report.user_id, request_hash, now),
            symbol=report.symbol,
            product=NO_PRODUCT,
            side=Side(report.side),
            trade=trade_value,
            portfolio_name=report.portfolio_name,
            portfolio_name_key=portfolio_name_key,
            note=report.note,
            executed_at=None if report.executed_at is None else format_timestamp(report.executed_at),
            backdated_reason=report.backdated_reason,
            field_prefix=prefix,
            charges=report.charges,
        )

    @staticmethod
    def _build_origin(
        request: AuthenticatedRequest, user_label: str | None, request_hash: str | None, now: datetime
    ) -> CommandOrigin:
        caller = request.caller
        return CommandOrigin(
            tenant_id=caller.tenant_id,
            source=caller.name,
            user_label=user_label,
            at=now,
            idempotency_key=request.idempotency_key,
            request_hash=request_hash,
            actor=caller.person,
            request_id=request.request_id,
            portfolios=caller.portfolios,
        )


def _hash_report(report: ReportedTrade, trade_value: TradeValue, portfolio_name_key: str) -> str:
    amounts = (
        format_fixed(trade_value.quantity),
        format_fixed(trade_value.gmv),
        format_fixed(trade_value.price),
    )
    values: tuple[str | None, ...] = (portfolio_name_key, report.symbol, report.side, *amounts)
    values += (report.user_id, report.note)
    if report.executed_at is not None:
        values += (format_timestamp(report.executed_at), report.backdated_reason)
    if report.charges is not None:
        values += (format_fixed(report.charges),)
    return hash_request(*values)


async def _await_outcome(future: "asyncio.Future[RecordedTrade]") -> RecordedTrade | OmsError:
    try:
        return await future
    except OmsError as error:
        return error
