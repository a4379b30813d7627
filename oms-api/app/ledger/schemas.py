"""Request and response bodies of the ledger routes.

Requests are pydantic models. Responses are plain dicts that models describe.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SkipValidation,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.costs.rules.values import Schedule
from app.http.execution_times import ExecutionTimeIn
from app.http.fields import (
    Amount,
    PositiveAmount,
    Side,
    build_amount_schema,
    check_length,
    clean,
    clean_label,
    clean_name,
    require_storable,
    to_lower_case,
)
from app.http.problems import Problem
from app.http.request_models import RequestModel
from app.instruments.schemas import Symbol
from app.ledger.rules.accounting import compute_average_cost
from app.ledger.rules.amounts import compute_charges_percentage
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.equity import PortfolioValue
from app.ledger.rules.tickets import ReportedTrade, find_portfolio_name_error
from app.money import ZERO, format_fixed, parse_plain, shorten_amount, shorten_quantity

_REPORTED = attrgetter(*ReportedTrade._fields)
USER_LENGTH = 100
NOTE_LENGTH = 500
MAX_TRADES = 1000
OTHER_NAMES: Mapping[str, str] = {  # field names of other systems
    "qty": "Did you mean `quantity`?",
    "ticker": "Did you mean `symbol`?",
    "notional": "Did you mean `gmv`?",
    "timestamp": "Did you mean `executed_at`?",
}


def _validate_portfolio_name(value: str) -> str:
    message = find_portfolio_name_error(value)
    if message:
        raise PydanticCustomError("portfolio_name", "{message}", {"message": message})
    return value


def _convert_empty_to_none(value: str | None) -> str | None:
    return value or None


ReportedCharges = Annotated[
    Amount, AfterValidator(require_storable), WithJsonSchema(build_amount_schema(zero=True))
]
PortfolioName = Annotated[
    str, AfterValidator(clean_name), AfterValidator(_validate_portfolio_name), Field(max_length=400),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^/]+$"}),
]  # fmt: skip
Label = Annotated[
    str, Field(max_length=USER_LENGTH), AfterValidator(clean_label), AfterValidator(check_length(USER_LENGTH))
]
Note = Annotated[
    str, Field(max_length=NOTE_LENGTH), AfterValidator(clean), AfterValidator(check_length(NOTE_LENGTH))
]


class TradeIn(ExecutionTimeIn):
    """An execution to record.

    Give either `gmv` (gross market value) or `price` (per unit), in the instrument's currency.
    """

    OTHER_NAMES: ClassVar[Mapping[str, str]] = OTHER_NAMES

    symbol: Symbol = Field(
        description="Symbol of the instrument; letter case does not matter", examples=["AAPL"]
    )
    quantity: PositiveAmount = Field(description="Units that were traded", examples=["100"])
    gmv: PositiveAmount | None = Field(
        None, description="Gross market value of the trade: quantity × price", examples=["17500.00"]
    )
    price: PositiveAmount | None = Field(None, description="Price per unit", examples=["175.00"])
    side: Side = Field(description="`BUY` or `SELL`, in any letter case", examples=["BUY"])
    portfolio_name: PortfolioName = Field(
        description="Name of the portfolio; letter case does not matter", examples=["Tech Portfolio"]
    )
    charges: ReportedCharges | None = Field(
        None,
        description="Charges in the portfolio's currency; null: computed by the cost schedule of the "
        "portfolio",
        examples=["1.00"],
    )
    user_id: Annotated[Label | None, AfterValidator(_convert_empty_to_none)] = Field(
        None, description="Person that the trade is for", examples=["U123"]
    )
    note: Annotated[Note | None, AfterValidator(_convert_empty_to_none)] = Field(
        None, description="Note that is stored with the trade", examples=["Block trade"]
    )

    @model_validator(mode="after")
    def _priced_once(self) -> "TradeIn":
        if (self.gmv is None) == (self.price is None):
            raise PydanticCustomError("priced_once", "Send either `gmv` or `price`.", {"field": "gmv"})
        return self

    def to_report(self) -> ReportedTrade:
        """Return the report."""
        return ReportedTrade(*_REPORTED(self))


class BatchIn(RequestModel):
    """Up to 1,000 trades. Each succeeds or fails on its own."""

    # Each trade is validated on its own later, so that an invalid one does not refuse the others.
    trades: list[Annotated[TradeIn, SkipValidation]] = Field(min_length=1, max_length=MAX_TRADES)


class TradeReversalIn(RequestModel):
    """The reason of a reversal."""

    reason: Annotated[Note, Field(min_length=1)]


CostSchedule = Annotated[Schedule, BeforeValidator(to_lower_case)]


class PositionOut(BaseModel):
    """A position in one symbol.

    `cost` has the sign of `quantity`, `realized_pnl` is before charges. Amounts are in the portfolio's
    currency.
    """

    quantity: str = Field(examples=["100"])
    avg_cost: str = Field(examples=["175.00"])
    cost: str = Field(examples=["17500.00"])
    realized_pnl: str = Field(examples=["0.00"])


class TradeOut(BaseModel):
    """A row of the ledger with the position after it.

    `gmv` and `price` are in the instrument's currency, all other amounts in the portfolio's.
    """

    trade_id: str = Field(examples=["T16972345671230000a1b2c3d4"])
    sequence: int = Field(
        examples=[1], description="Position in the ledger of its portfolio, from 1, without gaps"
    )
    kind: Literal["trade", "reversal", "split", "transfer"]
    symbol: str = Field(examples=["AAPL"])
    side: Literal["BUY", "SELL"]
    quantity: str = Field(examples=["100"])
    gmv: str = Field(examples=["17500.00"])
    price: str = Field(examples=["175.00"])
    charges: str = Field(
        examples=["0.00"],
        description="Charges, deducted from the cash; a reversal returns those of its trade",
    )
    charges_percentage: str = Field(examples=["0.06413636"], description="Charges in percent of the value")
    realized_pnl: str = Field(examples=["0.00"], description="Realized by this row, before charges")
    portfolio_name: str = Field(examples=["Tech Portfolio"])
    user_id: str | None = Field(examples=["U123"])
    source: str = Field(examples=["bootstrap"], description="Name of the key that recorded it")
    actor: str | None = Field(
        examples=["slack:T0123:U0123"], description="Person for whom the key recorded it; null: none"
    )
    request_id: str | None = Field(description="The request that recorded it, as logs and messages name it")
    currency: str | None = Field(
        examples=["USD"], description="Currency of the instrument; null: that of the portfolio"
    )
    fx_rate: str | None = Field(
        examples=[None], description="Value of one unit of `currency` in the portfolio's; null: the same"
    )
    note: str | None
    timestamp: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="The same as `executed_at`")
    executed_at: str = Field(
        examples=["2026-11-20T15:04:05.123456Z"], description="Time of the execution, in UTC"
    )
    backdated_reason: str | None = Field(
        description="Why the trade was reported late; null: it is not backdated"
    )
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Time of recording, in UTC")
    position: PositionOut
    reverses: str | None = Field(description="ID of the reversed trade; null: the row is a trade")
    reversed_by: str | None = Field(description="ID of the reversal; null: the trade is not reversed")
    hash: str = Field(description="SHA-256 over the predecessor's hash and this row's canonical form")


class RecordedOut(BaseModel):
    """The trade that was recorded now, or earlier under the same idempotency key."""

    success: Literal[True]
    trade_id: str = Field(examples=["T16972345671230000a1b2c3d4"])
    message: str = Field(examples=["Trade executed successfully"])
    trade: TradeOut


class OutcomeOut(BaseModel):
    """The outcome of one item of a batch: `trade` if its status is 201, else `problem`."""

    status: int = Field(examples=[201])
    trade: TradeOut | None = None
    problem: Problem | None = None


class OutcomesOut(BaseModel):
    """The outcomes of a batch, in its order."""

    outcomes: list[OutcomeOut]


class SummaryOut(BaseModel):
    """A portfolio without its positions."""

    portfolio_name: str = Field(examples=["Tech Portfolio"])
    base_currency: str = Field(examples=["USD"])
    total_trades: int = Field(examples=[1], description="Number of trades that are not reversed")
    total_buys: int = Field(examples=[1])
    total_sells: int = Field(examples=[0])
    realized_pnl: str = Field(examples=["0.00"])
    cash: str = Field(examples=["982500.00"])
    opening_cash: str = Field(examples=["1000000.00"], description="Opening cash")
    cost_schedule: Schedule = Field(
        description="Schedule that charges its trades, in all markets that the schedule covers"
    )
    cost_schedules: dict[str, Schedule] | None = Field(
        description="Schedules by market, instead of `cost_schedule`", examples=[{"IN": "zerodha"}]
    )
    calendar: str | None = Field(examples=["XNYS"], description="Market whose sessions define its P&L days")
    enforce_sessions: Literal[False, "hold", "deny"] = Field(
        description="Handling of orders outside their sessions", examples=["hold"]
    )
    approval: dict[str, Any] | None = Field(
        description="Which orders need approval; null: none",
        examples=[{"mode": "above_value", "value": "50000", "approvers": ["role:risk"]}],
    )
    participation: str | None = Field(
        examples=["0.1"], description="Maximum share of a quote's size that its orders can fill"
    )
    slippage: str | None = Field(
        examples=["5"], description="Slippage of market orders from the quote, in basis points"
    )
    carry_rates: list[dict[str, Any]] | None = Field(
        description="Yearly rates of interest and borrow fees in percent; null: none",
        examples=[[{"kind": "margin", "from": "2026-01-01", "percent": "8.5", "currency": None}]],
    )
    broker: Literal["paper", "alpaca", "ibkr", "zerodha"] = Field(
        description="Broker of its orders", examples=["paper"]
    )
    connection: str | None = Field(
        description="Broker connection of its orders; null: the paper market", examples=["alpaca-paper"]
    )
    when_broker_down: Literal["refuse", "hold"] = Field(
        description="Handling of new orders while its broker is not connected", examples=["refuse"]
    )
    last_sequence: int = Field(examples=[1], description="Rows in its ledger")


class PortfolioOut(SummaryOut):
    """A portfolio with its positions by symbol. Flat positions keep their realized P&L.

    `realized_pnl` is before charges, `net_realized_pnl` after them. Positions are valued at their current
    marks, as in `GET /positions`. The values are null as of an earlier time.
    """

    charges: str = Field(examples=["0.00"], description="Charges of all its trades")
    net_realized_pnl: str = Field(examples=["0.00"])
    equity: str | None = Field(
        examples=["1000500.00"], description="Cash + market value of the positions, in `base_currency`"
    )
    gross_exposure: str | None = Field(examples=["18000.00"], description="Sum of the unsigned market values")
    net_exposure: str | None = Field(examples=["18000.00"], description="Sum of the signed market values")
    unrealized_pnl: str | None = Field(examples=["500.00"], description="Market value - cost")
    day_pnl: str | None = Field(
        examples=["500.00"],
        description="Equity minus the equity at the last close, after charges and without deposits "
        "and withdrawals; on the first day, minus the opening cash",
    )
    total_pnl: str | None = Field(
        examples=["500.00"], description="Equity minus opening cash, without deposits and withdrawals"
    )
    buying_power: str | None = Field(
        examples=["982500.00"], description="Cash available for new orders and withdrawals; null with `as_of`"
    )
    settled_cash: str | None = Field(
        examples=["1000000.00"], description="Settled part of the cash; null with `as_of`"
    )
    unsettled_cash: str | None = Field(
        examples=["-17500.00"], description="Cash that later settlements add; null with `as_of`"
    )
    positions: dict[str, PositionOut]


def serialize_trade(row: TradeRow, portfolio_name: str, reversed_by: str | None = None) -> dict[str, Any]:
    """Return the row as `TradeOut` describes it."""
    return {
        "trade_id": row.trade_id,
        "sequence": row.sequence,
        "kind": row.kind,
        "symbol": row.symbol,
        "side": row.side,
        "quantity": shorten_quantity(row.quantity),
        "gmv": shorten_amount(row.gmv),
        "price": shorten_amount(row.price),
        "charges": shorten_amount(row.charges),
        "charges_percentage": shorten_amount(compute_charges_percentage(row)),
        "realized_pnl": shorten_amount(row.realized_pnl),
        "portfolio_name": portfolio_name,
        "user_id": row.user_id,
        "source": row.source,
        "actor": row.actor,
        "request_id": row.request_id,
        "currency": row.currency,
        "fx_rate": None if row.fx_rate is None else shorten_amount(row.fx_rate),
        "note": row.note,
        "timestamp": row.executed_at,
        "executed_at": row.executed_at,
        "backdated_reason": row.backdated_reason,
        "created_at": row.created_at,
        "position": serialize_position(row.position_quantity, row.position_cost, row.position_realized_pnl),
        "reverses": row.reverses,
        "reversed_by": reversed_by,
        "hash": row.hash,
    }


def serialize_value(value: PortfolioValue | None) -> dict[str, str | None]:
    """Return the value of a portfolio as `PortfolioOut` describes it. None: it was not valued."""
    names = ("equity", "gross_exposure", "net_exposure", "unrealized_pnl", "day_pnl", "total_pnl")
    if value is None:
        return dict.fromkeys(names)
    amounts = (value.equity, *value.exposure, value.day_pnl, value.total_pnl)
    return {name: shorten_amount(format_fixed(amount)) for name, amount in zip(names, amounts, strict=True)}


def serialize_recorded_trade(trade: dict[str, Any]) -> dict[str, Any]:
    """Return the response to a report or a reversal, as `RecordedOut` describes it."""
    message = "Trade reversed" if trade["kind"] == "reversal" else "Trade executed successfully"
    return {"success": True, "trade_id": trade["trade_id"], "message": message, "trade": trade}


def serialize_position(quantity: str, cost: str, realized_pnl: str) -> dict[str, str]:
    """Return a position, given as canonical text, as `PositionOut` describes it."""
    average = compute_average_cost(parse_plain(quantity) or ZERO, parse_plain(cost) or ZERO)
    return {
        "quantity": shorten_quantity(quantity),
        "avg_cost": shorten_amount(format_fixed(average)),
        "cost": shorten_amount(cost),
        "realized_pnl": shorten_amount(realized_pnl),
    }
