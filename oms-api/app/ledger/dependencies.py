"""The ledger as its routes see it: a desk that records and reverses, and readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from app.clock import Now
from app.database import Readers
from app.errors import FieldError, Invalid, OmsError
from app.group_commit import GroupCommit
from app.identity.rules import Caller
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import fingerprint
from app.ledger.rules.tickets import TradeLimits, name_key, trade_errors, value_trade
from app.ledger.schemas import ReversalIn, TradeIn
from app.ledger.service.commands import Command, Origin, Recorded, RecordTrade, ReverseTrade
from app.money import fixed
from app.wire.pages import Cursors

KEY_LENGTH = 200
NO_PRODUCT = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where trades are handed in."""

    writer: "GroupCommit[Command, Recorded]"
    limits: TradeLimits
    now: Now

    async def record(self, caller: Caller, trade: TradeIn, key: str | None) -> Recorded:
        """Record one trade and return it once it is committed."""
        return await self.writer.submit(self.command(caller, trade, key))

    async def record_all(self, commands: Sequence[Command]) -> list[Recorded | OmsError]:
        """Record many, in order; what is refused is returned in its place."""
        outcomes: list[Recorded | OmsError] = []
        for future in self.writer.submit_all(commands):
            try:
                outcomes.append(await future)
            except OmsError as refusal:
                outcomes.append(refusal)
        return outcomes

    async def reverse(self, caller: Caller, trade_id: str, body: ReversalIn, key: str | None) -> Recorded:
        """Undo a trade and return the reversal once it is committed."""
        request_hash = fingerprint(trade_id, body.reason) if key else None
        origin = Origin(caller.tenant_id, caller.name, None, self.now(), key, request_hash)
        return await self.writer.submit(ReverseTrade(origin, trade_id, body.reason))

    def command(self, caller: Caller, trade: TradeIn, key: str | None, at: str = "") -> RecordTrade:
        """Return the order to record `trade`. Raises Invalid where the limits are against it; `at` prefixes
        fields.
        """
        valued = value_trade(trade.quantity, trade.gmv, trade.price)
        errors = trade_errors(valued, self.limits, "price" if trade.gmv is None else "gmv")
        if errors:
            named = [FieldError(f"{at}{bad.field}", bad.message, bad.code) for bad in errors]
            raise Invalid(errors[0].message, named)
        folded = name_key(trade.portfolio_name)
        amounts = (fixed(valued.quantity), fixed(valued.gmv), fixed(valued.price))
        facts = (folded, trade.symbol, trade.side, *amounts, trade.user_id, trade.note)
        request_hash = fingerprint(*facts) if key else None
        return RecordTrade(
            origin=Origin(caller.tenant_id, caller.name, trade.user_id, self.now(), key, request_hash),
            symbol=trade.symbol,
            product=NO_PRODUCT,
            side=Side(trade.side),
            trade=valued,
            portfolio_name=trade.portfolio_name,
            portfolio_key=folded,
            note=trade.note,
        )


def check_key(key: str | None) -> str | None:
    """Return the idempotency key as sent. Raises Invalid unless it is 1 to 200 printable ASCII characters."""
    if key is None or (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        return key
    message = f"Must be 1 to {KEY_LENGTH} printable ASCII characters."
    raise Invalid(
        "The Idempotency-Key is not valid.", [FieldError("Idempotency-Key", message, "idempotency_key")]
    )


async def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key and body give the same answer, however often sent",
        ),
    ] = None,
) -> str | None:
    return check_key(key)


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _readers(request: Request) -> Readers:
    readers: Readers = request.app.state.readers
    return readers


async def _cursors(request: Request) -> Cursors:
    cursors: Cursors = request.app.state.cursors
    return cursors


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
TheDesk = Annotated[Desk, Depends(_desk)]
TheReaders = Annotated[Readers, Depends(_readers)]
TheCursors = Annotated[Cursors, Depends(_cursors)]
