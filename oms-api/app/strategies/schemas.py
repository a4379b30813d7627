"""Request and response bodies of strategies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool
from pydantic_core import PydanticCustomError

from app.http.body import validate_model
from app.http.fields import to_lower_case
from app.http.json import JsonNumber
from app.http.request_models import FrozenRequestModel
from app.instruments.schemas import Symbol
from app.ledger.schemas import Label, Note, PortfolioName
from app.market_data.rules.bars import Interval
from app.risk.schemas import LimitIn
from app.strategies.rules.requests import LimitRequest, NewStrategy
from app.strategies.rules.values import StrategyMode, StrategyStatus

MAX_SYMBOLS = 100
MAX_PARAMETERS = 100
_AT = "2026-11-20T15:04:05.123456Z"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
EXAMPLE: dict[str, Any] = {
    "name": "trend",
    "entry_point": "moving_average_cross",
    "portfolio": "Growth",
    "symbols": ["AAPL"],
    "interval": "1m",
    "parameters": {"fast": 10, "slow": 30},
    "mode": "paper",
    "limits": {"MAX_ORDER_VALUE": "25000"},
}
PATCH_EXAMPLE: dict[str, Any] = {"parameters": {"fast": 12}}
START_EXAMPLE: dict[str, Any] = {"reason": "Checked the backtest"}
REASON_EXAMPLE: dict[str, Any] = {"reason": "Unusual prices"}


def _require_plain_name(name: str) -> str:
    if "/" in name or ":" in name:
        raise PydanticCustomError("name", "Must not contain a slash or a colon.")
    return name


def _parse_parameters(value: Any) -> Any:  # any JSON value
    """Return parameters with plain values: numbers are text, which parameters parse exactly."""
    if not isinstance(value, dict):
        return value
    return {name: item.text if isinstance(item, JsonNumber) else item for name, item in value.items()}


def _replace_numbers(value: Any) -> Any:  # any JSON value
    """Return the value with its numbers as text, at any depth."""
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, dict):
        return {name: _replace_numbers(item) for name, item in value.items()}
    return [_replace_numbers(item) for item in value] if isinstance(value, list) else value


NewStrategyName = Annotated[Label, Field(min_length=1), AfterValidator(_require_plain_name)]
EntryPoint = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9_.:-]+$")]
ParameterValue = StrictBool | Annotated[str, Field(max_length=1_000)] | int
ParameterValues = Annotated[
    dict[Annotated[str, Field(max_length=100)], ParameterValue],
    BeforeValidator(_parse_parameters),
    Field(max_length=MAX_PARAMETERS),
]
Symbols = Annotated[list[Symbol], Field(min_length=1, max_length=MAX_SYMBOLS)]
Mode = Annotated[StrategyMode, BeforeValidator(to_lower_case)]
LimitValues = Annotated[
    dict[Annotated[str, Field(max_length=40)], Any], BeforeValidator(_replace_numbers), Field(max_length=40)
]
_LIMITS = Field(
    description="Risk limits of the strategy by code, as in `PUT /limits`; null removes one",
    examples=[{"MAX_ORDER_VALUE": "25000"}],
)


def build_limit_requests(
    name: str, limits: Mapping[str, Any], set_by: str, now: datetime
) -> list[LimitRequest]:
    """Return the limits to set. Raises Invalid with the field of a wrong one."""
    requests = []
    for code, value in limits.items():
        body = {"scope": "strategy", "name": name, "code": code, "value": value}
        limit_body = validate_model(LimitIn, body, ("limits", code))
        requests.append(LimitRequest(limit_body.build_limit(set_by, now), limit_body.value is None))
    return requests


class StrategyIn(FrozenRequestModel):
    """A new strategy. It does not run before you start it."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {
        "portfolio_name": "Did you mean `portfolio`?",
        "symbol": "Did you mean `symbols`?",
        "params": "Did you mean `parameters`?",
    }

    name: NewStrategyName = Field(
        description="Name, unique in the tenant; its orders have it as `strategy`", examples=["trend"]
    )
    entry_point: EntryPoint = Field(
        description="Name of an installed entry point of `slackoms.strategies`, or MODULE:CLASS where "
        "STRATEGY_MODULES allows the module",
        examples=["moving_average_cross"],
    )
    portfolio: PortfolioName = Field(description="Portfolio in which it trades", examples=["Growth"])
    symbols: Symbols = Field(description="Symbols whose bars it receives", examples=[["AAPL"]])
    interval: Interval = Field(Interval.MINUTE, description="Length of the bars", examples=["1m"])
    parameters: ParameterValues = Field(
        default_factory=dict,
        description="Parameters by name; those left out have their defaults",
        examples=[{"fast": 10, "slow": 30}],
    )
    mode: Mode = Field(
        StrategyMode.PAPER, description="`paper` or `live`, as the portfolio", examples=["paper"]
    )
    limits: Annotated[LimitValues, _LIMITS] = Field(default_factory=dict)

    def build(self, actor: str, now: datetime) -> NewStrategy:
        """Return the strategy to create."""
        limits = build_limit_requests(self.name, self.limits, actor, now)
        fields = (self.name, self.entry_point, self.portfolio, tuple(self.symbols), self.interval.value)
        return NewStrategy(*fields, self.parameters, self.mode, limits)


class StrategyPatch(FrozenRequestModel):
    """The changes of a strategy.

    Code, portfolio, symbols, interval and mode cannot change while it is ACTIVE.
    """

    entry_point: EntryPoint = Field(
        "",
        description="Code of the strategy; send the same name again to use its current code",
        examples=["breakout"],
    )
    portfolio: PortfolioName = Field("", description="Portfolio in which it trades", examples=["Growth"])
    symbols: Symbols = Field([], description="Symbols whose bars it receives", examples=[["AAPL", "MSFT"]])
    interval: Interval = Field(Interval.MINUTE, description="Length of the bars", examples=["1h"])
    parameters: ParameterValues = Field({}, description="Parameters to change", examples=[{"fast": 12}])
    mode: Mode = Field(
        StrategyMode.PAPER, description="`paper` or `live`, as the portfolio", examples=["paper"]
    )
    limits: Annotated[LimitValues, _LIMITS] = Field(default_factory=dict)

    def build(self, name: str, actor: str, now: datetime) -> dict[str, Any]:
        """Return the changes by the name of the field."""
        changes = {field: getattr(self, field) for field in self.model_fields_set}
        if "interval" in changes:
            changes["interval"] = changes["interval"].value
        if "symbols" in changes:
            changes["symbols"] = tuple(changes["symbols"])
        if "limits" in changes:
            changes["limits"] = build_limit_requests(name, self.limits, actor, now)
        return changes


class StartIn(FrozenRequestModel):
    """The reason for starting a strategy."""

    reason: Note | None = Field(None, description="Why", examples=["Checked the backtest"])
    acknowledge_error: StrictBool = Field(
        False, description="`true` is required to start a strategy whose status is ERROR", examples=[False]
    )


class ReasonIn(FrozenRequestModel):
    """The reason for pausing or stopping a strategy."""

    reason: Note | None = Field(None, description="Why", examples=["Unusual prices"])


class ParameterDefinition(BaseModel):
    """The definition of a parameter, as a form shows it."""

    name: str = Field(description="Name", examples=["fast"])
    type: str = Field(description="Type of the parameter", examples=["a whole number"])
    default: str = Field(description="Default", examples=["10"])
    description: str = Field(description="What it means", examples=["Bars of the fast average."])
    minimum: str | None = Field(description="Least value; null: no bound", examples=["1"])
    maximum: str | None = Field(description="Largest value; null: no bound", examples=["500"])
    choices: list[str] = Field(description="Allowed values; empty: any", examples=[[]])


class StatisticsOut(BaseModel):
    """The results of the closed round trips of a strategy, in the currency of its portfolio."""

    trades: int = Field(description="Closed round trips", examples=[12])
    wins: int = Field(description="Round trips with a gain", examples=[7])
    losses: int = Field(description="Round trips with a loss", examples=[5])
    win_rate: float | None = Field(description="Share of round trips with a gain", examples=[0.58333333])
    pnl_net: str = Field(description="P&L, net of charges", examples=["1250.40"])
    max_drawdown: float | None = Field(
        description="Largest loss from a peak of opening cash and earnings, as a share", examples=[0.012]
    )
    sharpe: float | None = Field(
        description="Yearly Sharpe ratio of the earnings of each day; null: too few days", examples=[1.34]
    )


class StrategyOut(BaseModel):
    """A strategy with its status and statistics."""

    id: str = Field(description="ID of the strategy", examples=["G17952423050000000c1937aec"])
    name: str = Field(description="Name", examples=["trend"])
    kind: Literal["code", "signals", "manual"] = Field(
        description="`code`: it runs here; `signals`: its signals come from outside; `manual`: orders "
        "without a strategy",
        examples=["code"],
    )
    entry_point: str | None = Field(
        description="Its code as MODULE:CLASS",
        examples=["slackoms_strategy.examples.moving_average_cross:MovingAverageCross"],
    )
    code_hash: str | None = Field(description="SHA-256 of that code", examples=[_HASH])
    portfolio: str | None = Field(description="Portfolio in which it trades", examples=["Growth"])
    symbols: list[str] = Field(description="Symbols whose bars it receives", examples=[["AAPL"]])
    interval: str | None = Field(description="Length of the bars", examples=["1m"])
    parameters: dict[str, Any] = Field(
        description="All parameters; numbers with a fraction are strings", examples=[{"fast": 10, "slow": 30}]
    )
    parameter_definitions: list[ParameterDefinition] = Field(
        description="Type, range and meaning of each parameter"
    )
    mode: StrategyMode = Field(description="`paper` or `live`", examples=["paper"])
    limits: dict[str, str] = Field(
        description="Risk limits of the strategy by code", examples=[{"MAX_ORDER_VALUE": "25000"}]
    )
    version: int = Field(description="Counts changes of code, parameters, symbols and interval", examples=[1])
    status: StrategyStatus = Field(description="Status", examples=["INACTIVE"])
    reason: str | None = Field(description="Why it has this status", examples=[None])
    last_error: str | None = Field(
        description="Why it failed, with file and line", examples=["ValueError: no data (trend.py, line 12)"]
    )
    failed_at: str | None = Field(description="Time of the failure, in UTC", examples=[None])
    run: int = Field(description="Number of its starts", examples=[3])
    started_by: str | None = Field(description="Person or key that last started it", examples=["slack:T1:U1"])
    started_at: str | None = Field(description="Time of the last start, in UTC", examples=[_AT])
    statistics: StatisticsOut = Field(description="Statistics of its closed round trips")
    created_by: str | None = Field(description="Person or key that created it", examples=["slack:T1:U1"])
    created_at: str | None = Field(description="Time of creation, in UTC", examples=[_AT])
    updated_by: str | None = Field(description="Person or key that last changed it", examples=["slack:T1:U1"])
    updated_at: str | None = Field(description="Time of the last change, in UTC", examples=[_AT])
