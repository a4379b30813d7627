"""Request and response bodies of backtests."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.backtests.rules.jobs import PROGRESS_PARTS, Backtest, BacktestRequest, BacktestStatus
from app.http.fields import PositiveAmount, WholeNumber
from app.http.json import JsonNumber
from app.http.lists import parse_instant
from app.http.request_models import FrozenRequestModel, RequestModel
from app.instruments.schemas import Symbol
from app.market_data.rules.bars import Interval
from app.money import format_money
from app.timestamps import format_optional_timestamp, format_timestamp

MAX_SYMBOLS = 100
MAX_COMPARED = 10
_AT = "2026-11-20T15:04:05.123456Z"
_ID = "B17952423050000000c1937aec"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_STATISTICS = {"trades": 12, "pnl_net": "1250.40", "sharpe": 1.34, "max_drawdown": 0.012}
EXAMPLE: dict[str, Any] = {
    "strategy": "moving_average_cross",
    "parameters": {"fast": 10, "slow": 30},
    "symbols": ["AAPL"],
    "from": "2026-11-02",
    "to": "2026-11-03",
    "interval": "5m",
    "cash": "100000",
    "cost_schedule": "us_equity",
    "seed": 1,
}


def _parse_day_or_time(value: Any) -> datetime:  # any JSON value
    """Parse a date, which is its midnight in UTC, or an instant with its offset."""
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "Must be a date or an instant with its offset, as a string.")
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        return parse_instant(value)


def _parse_plain(value: Any) -> Any:  # any JSON value
    """Return an object with plain values: numbers are text, which is parsed exactly."""
    if not isinstance(value, dict):
        return value
    return {
        name: item.text if isinstance(item, JsonNumber) else _parse_plain(item)
        for name, item in value.items()
    }


DayOrTime = Annotated[datetime, BeforeValidator(_parse_day_or_time), WithJsonSchema({"type": "string"})]
PlainValue = StrictBool | Annotated[str, Field(max_length=1_000)] | int
PlainValues = Annotated[
    dict[Annotated[str, Field(max_length=100)], PlainValue],
    BeforeValidator(_parse_plain),
    Field(max_length=100),
]
SettingValues = Annotated[
    dict[Annotated[str, Field(max_length=40)], PlainValue | dict[str, str]],
    BeforeValidator(_parse_plain),
    Field(max_length=40),
]


class BacktestIn(FrozenRequestModel):
    """A backtest to run as a job."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {"costs": "Did you mean `cost_schedule`?"}

    strategy: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="Name of a registered strategy, or an entry point as in `POST /strategies`",
        examples=["moving_average_cross"],
    )
    parameters: PlainValues = Field(
        default_factory=dict,
        description="Parameters; those that you leave out are those of the registered strategy, else "
        "the defaults",
        examples=[{"fast": 10, "slow": 30}],
    )
    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=MAX_SYMBOLS)] | None = Field(
        None, description="Symbols; null: those of the registered strategy", examples=[["AAPL"]]
    )
    since: DayOrTime = Field(
        alias="from", description="First day or instant, in UTC", examples=["2026-11-02"]
    )
    until: DayOrTime = Field(
        alias="to", description="First day or instant that is left out, in UTC", examples=["2026-11-03"]
    )
    interval: Interval | None = Field(
        None,
        description="Length of the bars; null: that of the registered strategy, else 1m",
        examples=["5m"],
    )
    data: Literal["bars"] = Field(
        "bars", description="Source of the bars: the service itself", examples=["bars"]
    )
    cash: PositiveAmount = Field(
        Decimal(1_000_000), description="Opening cash, in the currency of the portfolio", examples=["100000"]
    )
    cost_schedule: Annotated[str, Field(max_length=60)] = Field(
        "none",
        description="none, zerodha, us_equity, ibkr_fixed, flat:1.00 per order or percent:0.1 of the value",
        examples=["us_equity"],
    )
    settings: SettingValues = Field(
        default_factory=dict,
        description="spread, slippage, basis_points, participation, latency_milliseconds, risk, sessions, "
        "exchange, product, tick, lot, limits, carry_rates, base_currency, currencies, rates",
        examples=[{"slippage": "basis_points", "basis_points": "2", "limits": {"MAX_DAILY_LOSS": "5000"}}],
    )
    seed: WholeNumber = Field(0, description="Seed of `context.random`", examples=[1], le=2**31 - 1)

    @model_validator(mode="after")
    def _require_time_order(self) -> "BacktestIn":
        if self.since >= self.until:
            raise PydanticCustomError("period", "`from` must be before `to`.", {"field": "from"})
        return self

    def build(self) -> BacktestRequest:
        """Return the request as the service takes it."""
        symbols = None if self.symbols is None else tuple(self.symbols)
        return BacktestRequest(
            strategy=self.strategy,
            parameters=self.parameters,
            symbols=symbols,
            since=self.since,
            until=self.until,
            interval=self.interval,
            cash=self.cash,
            costs=self.cost_schedule,
            settings=self.settings,
            seed=self.seed,
        )


class BacktestOut(BaseModel):
    """A backtest with its status and, once it is done, its result."""

    id: str = Field(description="ID of the backtest", examples=[_ID])
    status: BacktestStatus = Field(description="queued, running, done or failed", examples=["done"])
    progress: float = Field(description="Share of the period that is done", examples=[1.0])
    error: str | None = Field(description="Why it failed", examples=[None])
    strategy: str = Field(description="Strategy, as the request named it", examples=["moving_average_cross"])
    entry_point: str = Field(
        description="Its code as MODULE:CLASS",
        examples=["slackoms_strategy.examples.moving_average_cross:MovingAverageCross"],
    )
    parameters: dict[str, Any] = Field(description="All parameters", examples=[{"fast": 10, "slow": 30}])
    symbols: list[str] = Field(description="Symbols", examples=[["AAPL"]])
    since: str = Field(alias="from", description="First instant, in UTC", examples=[_AT])
    until: str = Field(alias="to", description="First instant that is left out, in UTC", examples=[_AT])
    interval: str = Field(description="Length of the bars", examples=["5m"])
    cash: str = Field(description="Opening cash", examples=["100000.00"])
    cost_schedule: str = Field(description="Schedule that charges the fills", examples=["us_equity"])
    settings: dict[str, Any] = Field(description="Other settings", examples=[{}])
    seed: int = Field(description="Seed of `context.random`", examples=[1])
    code_hash: str = Field(description="SHA-256 of the code", examples=[_HASH])
    data_hash: str | None = Field(description="SHA-256 of the bars; null: not done", examples=[_HASH])
    result_hash: str | None = Field(
        description="SHA-256 of orders, fills and equity; null: not done", examples=[_HASH]
    )
    statistics: dict[str, Any] | None = Field(
        description="Statistics as in statistics.json of the command; null: not done", examples=[_STATISTICS]
    )
    created_by: str = Field(description="Person or key that requested it", examples=["slack:T1:U1"])
    created_at: str = Field(description="Time of the request, in UTC", examples=[_AT])
    started_at: str | None = Field(description="Time of the start, in UTC", examples=[_AT])
    finished_at: str | None = Field(description="Time of the end, in UTC", examples=[_AT])


class ComparisonOut(BaseModel):
    """A comparison of backtests."""

    items: list[BacktestOut] = Field(description="The backtests in the order of `ids`")
    same_code: bool = Field(description="Whether all ran the same code", examples=[True])
    same_data: bool = Field(description="Whether all ran on the same bars", examples=[True])
    same_result: bool = Field(description="Whether all have the same result", examples=[False])
    differences: dict[str, list[Any]] = Field(
        description="The statistics that differ, by name in the order of `ids`",
        examples=[{"pnl_net": ["1250.40", "980.10"]}],
    )


class ComparisonQuery(RequestModel):
    """The backtests to compare."""

    ids: Annotated[str, Field(min_length=1, max_length=33 * MAX_COMPARED)] = Field(
        description=f"IDs of two to {MAX_COMPARED} backtests, separated by commas"
    )


class BacktestOrderOut(BaseModel):
    """An order of a backtest in its last state, as in orders.csv."""

    order_id: str = Field(description="ID of the order", examples=["O1"])
    symbol: str = Field(description="Symbol", examples=["AAPL"])
    side: str = Field(description="BUY or SELL", examples=["BUY"])
    type: str = Field(description="Type", examples=["MARKET"])
    quantity: str = Field(description="Units", examples=["10"])
    limit_price: str | None = Field(description="Limit price", examples=[None])
    stop_price: str | None = Field(description="Stop price", examples=[None])
    time_in_force: str = Field(description="Time in force", examples=["DAY"])
    status: str = Field(description="Status", examples=["FILLED"])
    filled_quantity: str = Field(description="Filled units", examples=["10"])
    filled_value: str = Field(description="Filled value", examples=["1750"])
    created_at: str = Field(description="Time of creation, in UTC", examples=["2026-11-20T15:04:00Z"])
    updated_at: str = Field(description="Time of the last change, in UTC", examples=["2026-11-20T15:05:00Z"])
    parent_id: str | None = Field(description="ID of the entry of an exit; null: none", examples=[None])
    reason: str | None = Field(description="Why it was denied, rejected or canceled", examples=[None])


class BacktestFillOut(BaseModel):
    """A fill of a backtest, as in fills.csv."""

    order_id: str = Field(description="ID of the order", examples=["O1"])
    symbol: str = Field(description="Symbol", examples=["AAPL"])
    side: str = Field(description="BUY or SELL", examples=["BUY"])
    quantity: str = Field(description="Units", examples=["10"])
    price: str = Field(description="Price per unit", examples=["175"])
    value: str = Field(description="Quantity × price", examples=["1750"])
    charges: str = Field(description="Charges", examples=["0.02"])
    at: str = Field(description="Time of the fill, in UTC", examples=["2026-11-20T15:05:00Z"])


class EquityPointOut(BaseModel):
    """A point of the equity curve of a backtest, as in equity.csv."""

    at: str = Field(description="Time of the point, in UTC", examples=["2026-11-20T15:05:00Z"])
    equity: str = Field(description="Cash plus market value", examples=["100012.5"])
    cash: str = Field(description="Cash", examples=["98262.5"])
    market_value: str = Field(description="Market value of the positions", examples=["1750"])
    gross_exposure: str = Field(description="Sum of the unsigned market values", examples=["1750"])
    charges: str = Field(description="Charges so far", examples=["0.02"])
    is_close: str = Field(description="1 for the last point of a UTC day, else 0", examples=["0"])


def serialize_backtest(backtest: Backtest) -> dict[str, Any]:
    """Return a backtest as `BacktestOut` describes it."""
    return {
        "id": backtest.id,
        "status": backtest.status,
        "progress": backtest.progress / PROGRESS_PARTS,
        "error": backtest.error,
        "strategy": backtest.strategy,
        "entry_point": backtest.entry_point,
        "parameters": orjson.loads(backtest.parameters),
        "symbols": backtest.symbol_names,
        "from": format_timestamp(backtest.since),
        "to": format_timestamp(backtest.until),
        "interval": backtest.interval,
        "cash": format_money(backtest.cash),
        "cost_schedule": backtest.costs,
        "settings": orjson.loads(backtest.settings),
        "seed": backtest.seed,
        "code_hash": backtest.code_hash,
        "data_hash": backtest.data_hash,
        "result_hash": backtest.result_hash,
        "statistics": None if backtest.statistics is None else orjson.loads(backtest.statistics),
        "created_by": backtest.created_by,
        "created_at": format_timestamp(backtest.created_at),
        "started_at": format_optional_timestamp(backtest.started_at),
        "finished_at": format_optional_timestamp(backtest.finished_at),
    }


def serialize_comparison(backtests: Sequence[Backtest]) -> dict[str, Any]:
    """Return backtests as `ComparisonOut` describes them."""
    items = [serialize_backtest(backtest) for backtest in backtests]
    statistics_of_items = [item["statistics"] or {} for item in items]
    names = list(dict.fromkeys(name for statistics in statistics_of_items for name in statistics))
    columns = {name: [statistics.get(name) for statistics in statistics_of_items] for name in names}
    return {
        "items": items,
        "same_code": _are_same([backtest.code_hash for backtest in backtests]),
        "same_data": _are_same([backtest.data_hash for backtest in backtests]),
        "same_result": _are_same([backtest.result_hash for backtest in backtests]),
        "differences": {
            name: values for name, values in columns.items() if any(other != values[0] for other in values)
        },
    }


def _are_same(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values) and values[0] is not None
