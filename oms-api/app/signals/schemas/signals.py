"""Request and response bodies of signals."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.http.fields import PositiveAmount, Side, SignedAmount, to_lower_case
from app.http.lists import Cursor, PageLimit, parse_instant
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import FrozenRequestModel, RequestModel
from app.instruments.schemas import Symbol
from app.ledger.rules.chain import hash_request
from app.ledger.schemas import Label, Note, PortfolioName
from app.money import format_fixed, format_optional_quantity
from app.signals.queries.signals import ListedSignal
from app.signals.rules.serialization import serialize_size
from app.signals.rules.values import (
    Signal,
    SignalChannel,
    SignalMode,
    SignalRequest,
    SignalSize,
    SignalStatus,
    SizeKind,
)
from app.timestamps import format_optional_timestamp, format_timestamp

SIGNAL_ID = r"^[A-Za-z0-9._:+=@-]{1,100}$"
MAX_SYMBOLS = 500
MAX_PERCENT = 1_000
EXAMPLE: dict[str, Any] = {
    "symbol": "AAPL",
    "side": "BUY",
    "qty": "10",
    "reason": "Technical breakout",
    "portfolio": "Growth",
    "id": "breakout-1",
}
STRATEGY_EXAMPLE: dict[str, Any] = {
    "portfolio": "Growth",
    "mode": "trade",
    "qty": "10",
    "symbols": ["AAPL", "MSFT"],
}
_AT = "2026-11-20T15:04:05.123456Z"


def _require_percent(amount: Decimal) -> Decimal:
    if amount > MAX_PERCENT:
        raise PydanticCustomError("amount", f"At most {MAX_PERCENT}.")
    return amount


def _parse_time(value: Any) -> datetime:  # any JSON value
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "Must be an instant with its offset, as a string.")
    return parse_instant(value)


def _convert_empty_to_none(value: str | None) -> str | None:
    return value or None


SignalInstant = Annotated[datetime, BeforeValidator(_parse_time)]
StrategyName = Annotated[Label, Field(min_length=1)]
SignalId = Annotated[str, StringConstraints(pattern=SIGNAL_ID)]
SignalReason = Annotated[Note | None, AfterValidator(_convert_empty_to_none)]
Percent = Annotated[PositiveAmount, AfterValidator(_require_percent)]


class SizeIn(FrozenRequestModel):
    """The size of a signal: one of these."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {
        "quantity": "Did you mean `qty`?",
        "action": "Did you mean `side`?",
        "ticker": "Did you mean `symbol`?",
        "portfolio_name": "Did you mean `portfolio`?",
        "note": "Did you mean `reason`?",
    }

    qty: PositiveAmount | None = Field(None, description="Units to trade", examples=["10"])
    notional: PositiveAmount | None = Field(
        None, description="Value to trade, in the instrument's currency", examples=["1750.00"]
    )
    percent_of_equity: Percent | None = Field(
        None, description="Value to trade, in percent of the portfolio's equity", examples=["5"]
    )
    target_position: SignedAmount | None = Field(
        None, description="Signed position to reach, in units; 0 is flat", examples=["-100"]
    )
    close: StrictBool | None = Field(None, description="true: close the position", examples=[True])

    @model_validator(mode="after")
    def _require_one_size(self) -> "SizeIn":
        size_kinds = [name for name in SizeKind if getattr(self, name) is not None]
        if len(size_kinds) > 1:
            message = f"Send only one of {', '.join(f'`{name}`' for name in size_kinds)}."
            raise PydanticCustomError("sized_once", "{message}", {"message": message, "field": size_kinds[1]})
        if self.close is False:
            raise PydanticCustomError("close", "Send true, or leave `close` out.", {"field": "close"})
        return self

    def to_size(self) -> SignalSize | None:
        """Return the size, None if there is none."""
        for kind in SizeKind:
            value = getattr(self, kind)
            if value is not None:
                return SignalSize(kind, None if kind is SizeKind.CLOSE else value)
        return None


class SignalIn(SizeIn):
    """A signal: the trade that a strategy requests."""

    symbol: Symbol = Field(
        description="Symbol of the instrument; letter case does not matter", examples=["AAPL"]
    )
    side: Side | None = Field(
        None,
        description="`buy` or `sell`, in any letter case; not needed with `target_position` and `close`",
        examples=["BUY"],
    )
    price: PositiveAmount | None = Field(
        None, description="Limit price per unit; null: a market order", examples=["175.00"]
    )
    reason: SignalReason = Field(None, description="Reason, for the order", examples=["Technical breakout"])
    strategy: StrategyName | None = Field(
        None, description="Strategy whose rules apply; null: none", examples=["momentum"]
    )
    portfolio: PortfolioName | None = Field(
        None, description="Portfolio; null: that of the strategy", examples=["Growth"]
    )
    id: SignalId | None = Field(
        None,
        description="Your ID of the signal: a repeat with the same ID counts once; null: the "
        "`Idempotency-Key`",
        examples=["breakout-1"],
    )
    expires_at: SignalInstant | None = Field(None, description="Time of expiry of the signal", examples=[_AT])

    def build_request(
        self, channel: SignalChannel, signal_id: str, request_hash: str | None = None
    ) -> SignalRequest:
        """Return the signal with that id. `request_hash` is by default the hash of its content."""
        fields = (*(getattr(self, name) for name in ("symbol", "side", "price", "reason", "strategy")),)
        size = self.to_size()
        hashed = request_hash or hash_request(
            *map(_format_amount, (*fields, self.portfolio, self.expires_at)), *map(_format_amount, size or ())
        )
        return SignalRequest(
            id=signal_id,
            channel=channel,
            symbol=self.symbol,
            side=self.side,
            size=size,
            price=self.price,
            reason=self.reason,
            strategy=self.strategy,
            portfolio=self.portfolio,
            expires_at=self.expires_at,
            request_hash=hashed,
        )


class SignalOut(BaseModel):
    """A signal with its outcome."""

    id: str = Field(description="ID of the signal", examples=["breakout-1"])
    status: SignalStatus = Field(
        description="Outcome of the signal; `received`: none yet", examples=["filled"]
    )
    order_ids: list[str] = Field(description="IDs of its orders", examples=[["O17952423050000000c1937aec"]])
    reason: str | None = Field(description="Why no order was placed; null: one was", examples=[None])
    latency_ms: int | None = Field(
        description="Milliseconds from its arrival until its outcome; null: no outcome yet", examples=[12]
    )


class SignalDetailOut(SignalOut):
    """A signal with its content, and the current statuses of its orders."""

    channel: SignalChannel = Field(description="How it arrived", examples=["rest"])
    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    side: str | None = Field(description="BUY or SELL; null: the signal has none", examples=["BUY"])
    size: dict[str, Any] = Field(description="Size of the order", examples=[{"qty": "10"}])
    price: str | None = Field(description="Limit price; null: a market order", examples=[None])
    sender_reason: str | None = Field(description="Reason that its sender gave", examples=["Breakout"])
    strategy: str | None = Field(description="Strategy whose rules applied", examples=["momentum"])
    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    mode: SignalMode = Field(description="Mode of the strategy", examples=["trade"])
    source: str = Field(description="Name of the key or hook that sent it", examples=["signals"])
    person: str | None = Field(description="Person for whom the key acts; null: none", examples=[None])
    expires_at: str | None = Field(description="Time of expiry of the signal, in UTC", examples=[None])
    received_at: str = Field(description="Time of its arrival, in UTC", examples=[_AT])
    completed_at: str | None = Field(description="Time of its outcome, in UTC", examples=[_AT])
    order_statuses: dict[str, str] = Field(
        description="Current status of each order by its ID",
        examples=[{"O17952423050000000c1937aec": "FILLED"}],
    )


class SignalQuery(RequestModel):
    """Filters of the list of signals, and its page."""

    status: Annotated[SignalStatus, BeforeValidator(to_lower_case)] | None = None
    strategy: Label | None = None
    symbol: Symbol | None = None
    portfolio: Label | None = None
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class StrategyRulesIn(SizeIn):
    """The rules that turn the signals of a strategy into orders. `size` applies to signals without a size."""

    portfolio: PortfolioName | None = Field(
        None, description="Portfolio of signals that name none; null: SIGNALS_PORTFOLIO", examples=["Growth"]
    )
    mode: Annotated[SignalMode, BeforeValidator(to_lower_case)] = Field(
        SignalMode.TRADE,
        description="`trade`: place orders; `approve`: place orders that await approval; `record`: "
        "only store",
        examples=["trade"],
    )
    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=MAX_SYMBOLS)] | None = Field(
        None, description="Allowed symbols; null: all", examples=[["AAPL"]]
    )


class StrategyRulesOut(BaseModel):
    """The rules that turn the signals of a strategy into orders."""

    name: str = Field(description="Name of the strategy", examples=["momentum"])
    portfolio: str | None = Field(description="Portfolio of signals that name none", examples=["Growth"])
    mode: SignalMode = Field(description="Handling of its signals", examples=["trade"])
    size: dict[str, Any] | None = Field(
        description="Size of signals without a size; null: each signal needs a size", examples=[{"qty": "10"}]
    )
    symbols: list[str] | None = Field(description="Allowed symbols; null: all", examples=[["AAPL"]])
    updated_by: str = Field(description="Person or key that set the rules", examples=["alice@example.com"])
    updated_at: str = Field(description="Time of the last change, in UTC", examples=[_AT])


class TradingPortfolioQuery(RequestModel):
    """The portfolio of the snapshot."""

    portfolio: Annotated[str, Field(max_length=400)] | None = Field(
        None, description="Name of the portfolio; default: SIGNALS_PORTFOLIO"
    )


def serialize_outcome(signal: Signal) -> dict[str, Any]:
    """Return the signal as `SignalOut` describes it."""
    return {
        "id": signal.id,
        "status": signal.status,
        "order_ids": signal.order_ids.split(),
        "reason": signal.outcome_reason,
        "latency_ms": signal.latency_ms,
    }


def serialize_signal(listed_signal: ListedSignal) -> dict[str, Any]:
    """Return the signal as `SignalDetailOut` describes it."""
    signal = listed_signal.signal
    return serialize_outcome(signal) | {
        "channel": signal.channel,
        "symbol": signal.symbol,
        "side": signal.side,
        "size": serialize_size(SignalSize(signal.size_kind, signal.size_value)),
        "price": format_optional_quantity(signal.price),
        "sender_reason": signal.reason,
        "strategy": signal.strategy,
        "portfolio_name": listed_signal.portfolio_name,
        "mode": signal.mode,
        "source": signal.source,
        "person": signal.person,
        "expires_at": format_optional_timestamp(signal.expires_at),
        "received_at": format_timestamp(signal.received_at),
        "completed_at": format_optional_timestamp(signal.completed_at),
        "order_statuses": listed_signal.order_statuses,
    }


def _format_amount(value: Any) -> str | None:  # a field of a signal
    if isinstance(value, Decimal):
        return format_fixed(value)
    return format_timestamp(value) if isinstance(value, datetime) else value
