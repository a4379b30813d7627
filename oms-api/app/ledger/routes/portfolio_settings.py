"""Request bodies that create and update portfolios."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.calendars.rules.values import MarketIdentifier
from app.costs.rules.values import Schedule
from app.http.fields import Amount, OpeningCash, PositiveAmount, WholeNumber, to_lower_case, to_upper_case
from app.http.request_models import FrozenRequestModel, RequestModel
from app.instruments.schemas import Symbol
from app.ledger.routes.carry_rates import CarryRateIn
from app.ledger.routes.currencies import KnownCurrency
from app.ledger.rules.settings import NO_SCHEDULE, PAPER, format_json
from app.ledger.schemas import CostSchedule, Label, PortfolioName
from app.ledger.service.trade_guard import BrokerChoice
from app.money import format_fixed

MAX_LIST_ITEMS = 100
_NEEDS_VALUE = ("above_value", "above_equity_share")
_ONE_HUNDRED = Decimal(100)


def _require_share(value: Decimal) -> Decimal:
    if value > 1:
        raise PydanticCustomError("amount", "Must be at most 1, which is all of the size.")
    return value


def _require_below_whole(value: Decimal) -> Decimal:
    if value >= 10_000:
        raise PydanticCustomError("amount", "Must be below 10,000 basis points.")
    return value


def _require_percentage(value: Decimal) -> Decimal:
    if value > _ONE_HUNDRED:
        raise PydanticCustomError("amount", "Must be at most 100 percent.")
    return value


def _parse_enforcement(value: object) -> object:
    """Return the stored setting for false, true or a setting in any case."""
    if isinstance(value, bool):
        return "hold" if value else "off"
    return to_lower_case(value)


SessionEnforcement = Annotated[
    Literal["off", "hold", "deny"],
    BeforeValidator(_parse_enforcement, json_schema_input_type=bool | Literal["off", "hold", "deny"]),
]
CostMarketCode = Annotated[Literal["IN", "US"], BeforeValidator(to_upper_case)]
_SCHEDULES_BY_MARKET = {
    "IN": {Schedule.NONE, Schedule.ZERODHA},
    "US": {Schedule.NONE, Schedule.US_EQUITY, Schedule.IBKR_FIXED},
}


class ApprovalIn(FrozenRequestModel):
    """The policy that decides which orders of a portfolio need the approval of another person."""

    mode: Annotated[
        Literal["always", "above_value", "above_equity_share", "instruments"], BeforeValidator(to_lower_case)
    ] = Field(
        description="Orders that need approval; orders that close positions never need it",
        examples=["above_value"],
    )
    value: PositiveAmount | None = Field(
        None,
        description="`above_value`: in the portfolio's currency; `above_equity_share`: in percent of equity",
        examples=["50000"],
    )
    instruments: list[Symbol] | None = Field(
        None,
        min_length=1,
        max_length=MAX_LIST_ITEMS,
        description="`instruments`: the symbols",
        examples=[["TSLA"]],
    )
    approvers: list[Label] = Field(
        min_length=1,
        max_length=MAX_LIST_ITEMS,
        description="Approvers: e-mail addresses, Slack identities, and roles such as `role:risk`",
        examples=[["role:risk", "slack:T0123:U0123"]],
    )
    expires_minutes: WholeNumber = Field(
        30, ge=1, le=10_080, description="Minutes after which the order expires", examples=[30]
    )
    max_move_percent: Annotated[Amount, AfterValidator(_require_percentage)] = Field(
        Decimal(1), description="Maximum price move until the approval, in percent", examples=["1"]
    )

    @model_validator(mode="after")
    def _has_the_fields_of_its_mode(self) -> "ApprovalIn":
        if (self.mode in _NEEDS_VALUE) != (self.value is not None):
            message = f"Give `value` with the modes {' and '.join(_NEEDS_VALUE)}, and only with them."
            raise PydanticCustomError("approval", "{message}", {"message": message, "field": "value"})
        if (self.mode == "instruments") != (self.instruments is not None):
            message = "Give `instruments` with the mode instruments, and only with it."
            raise PydanticCustomError("approval", "{message}", {"message": message, "field": "instruments"})
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the policy as it is stored and shown."""
        return {
            "mode": self.mode,
            "value": None if self.value is None else f"{self.value:f}",
            "instruments": self.instruments or [],
            "approvers": self.approvers,
            "expires_minutes": self.expires_minutes,
            "max_move_percent": f"{self.max_move_percent:f}",
        }


class SettingsIn(RequestModel):
    """The settings of a portfolio. Each applies to later orders and trades."""

    cost_schedule: CostSchedule | None = Field(
        None,
        description="Schedule that charges its trades, in all markets that the schedule covers",
        examples=["us_equity"],
    )
    cost_schedules: dict[CostMarketCode, CostSchedule] | None = Field(
        None,
        max_length=2,
        description="Schedules by market (IN or US), instead of `cost_schedule`. Trades in other "
        "markets are not charged",
        examples=[{"IN": "zerodha", "US": "us_equity"}],
    )
    calendar: Annotated[MarketIdentifier, BeforeValidator(to_upper_case)] | None = Field(
        None, description="Market whose sessions define its P&L days; null: days of UTC", examples=["XNYS"]
    )
    enforce_sessions: SessionEnforcement | None = Field(
        None,
        description="Handling of orders outside their sessions. false: the setting `ENFORCE_SESSIONS` "
        "applies, and live portfolios hold; true or `hold`: held until the open; `deny`: denied",
        examples=["hold"],
    )
    approval: ApprovalIn | None = Field(None, description="Which orders need approval; null: none")
    participation: Annotated[PositiveAmount, AfterValidator(_require_share)] | None = Field(
        None,
        description="Maximum share of a quote's size that its orders can fill; null: PAPER_PARTICIPATION",
        examples=["0.1"],
    )
    slippage: Annotated[Amount, AfterValidator(_require_below_whole)] | None = Field(
        None,
        description="Slippage of its market orders from the quote, in basis points; null: PAPER_SLIPPAGE",
        examples=["5"],
    )
    carry_rates: Annotated[list[CarryRateIn], Field(max_length=MAX_LIST_ITEMS)] | None = Field(
        None,
        description="Yearly rates of interest and borrow fees with their first dates, booked daily; "
        "null: none",
        examples=[[{"kind": "margin", "from": "2026-01-01", "percent": "8.5"}]],
    )

    when_broker_down: Annotated[Literal["refuse", "hold"], BeforeValidator(to_lower_case)] | None = Field(
        None,
        description="Handling of new orders while the broker is not connected: `refuse` denies them, "
        "`hold` holds them until it is",
        examples=["hold"],
    )

    @model_validator(mode="after")
    def _has_one_kind_of_schedule(self) -> "SettingsIn":
        if self.cost_schedule is not None and self.cost_schedules is not None:
            message = "Give either `cost_schedule` or `cost_schedules`."
            raise PydanticCustomError("schedules", message, {"field": "cost_schedules"})
        for market, schedule in (self.cost_schedules or {}).items():
            if schedule not in _SCHEDULES_BY_MARKET[market]:
                message = f"The schedule {schedule} does not cover the market {market}."
                raise PydanticCustomError(
                    "schedules", "{message}", {"message": message, "field": "cost_schedules"}
                )
        return self

    def to_changes(self) -> dict[str, Any]:
        """Return the settings in the request, by column, as they are stored."""
        changed_fields = {
            name: _COLUMN_CONVERTERS[name](getattr(self, name))
            for name in self.model_fields_set & _COLUMN_CONVERTERS.keys()
        }
        if changed_fields.get("cost_schedules") is not None:
            changed_fields["cost_schedule"] = NO_SCHEDULE
        elif changed_fields.get("cost_schedule") is not None:
            changed_fields["cost_schedules"] = None
        return {
            name: value
            for name, value in changed_fields.items()
            if value is not None or name not in _NEVER_NULL
        }


_NEVER_NULL = ("cost_schedule", "enforce_sessions", "when_broker_down")
_COLUMN_CONVERTERS: dict[str, Any] = {
    "cost_schedule": lambda value: None if value is None else value.value,
    "cost_schedules": lambda value: format_json(
        {market: schedule.value for market, schedule in (value or {}).items()}
    ),
    "calendar": lambda value: None if value is None else value.value,
    "enforce_sessions": lambda value: value,
    "approval": lambda value: format_json(None if value is None else value.serialize()),
    "participation": lambda value: None if value is None else format_fixed(value),
    "slippage": lambda value: None if value is None else format_fixed(value),
    "carry_rates": lambda value: format_json([rate.serialize() for rate in value or ()]),
    "when_broker_down": lambda value: value,
}


class PortfolioIn(SettingsIn):
    """A paper portfolio to create."""

    name: PortfolioName = Field(
        description="Unique in the tenant; letter case does not matter", examples=["Growth"]
    )
    base_currency: KnownCurrency = Field(
        "USD", description="ISO 4217 code of its cash, cost and P&L", examples=["USD"]
    )
    opening_cash: OpeningCash | None = Field(
        None,
        description="Opening cash, in `base_currency`; null: the tenant's `default_opening_cash`",
        examples=["1000000.00"],
    )
    broker: Annotated[Literal["paper"], BeforeValidator(to_lower_case)] | None = Field(
        None, description="Broker of its orders: the paper market", examples=["paper"]
    )


class PortfolioPatch(SettingsIn):
    """The changes of a portfolio. A field that you leave out keeps its value.

    A trade that is reported under the old name creates a new portfolio. Settings apply to later orders and
    reported trades; earlier orders keep their cost schedule. null removes a setting.
    """

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {"cash": "Use `POST /portfolios/{name}/cash`."}

    name: PortfolioName | None = Field(
        None, description="New name of the portfolio", examples=["Growth and Income"]
    )
    base_currency: KnownCurrency | None = Field(
        None, description="It cannot change; only the current value is accepted", examples=["USD"]
    )
    opening_cash: OpeningCash | None = Field(
        None, description="It cannot change; only the current value is accepted", examples=["1000000.00"]
    )

    broker: (
        Annotated[Literal["paper", "alpaca", "ibkr", "zerodha"], BeforeValidator(to_lower_case)] | None
    ) = Field(None, description="Broker of its orders", examples=["alpaca"])
    connection: Annotated[str, Field(min_length=1, max_length=60)] | None = Field(
        None,
        description="Broker connection of its orders; required unless the broker is paper",
        examples=["alpaca-paper"],
    )

    @model_validator(mode="after")
    def _has_a_connection(self) -> "PortfolioPatch":
        if (self.connection is None) != (self.broker in (None, PAPER)):
            message = "Give `broker` and `connection` together, and `broker` alone for the paper market."
            raise PydanticCustomError("connection", message, {"field": "connection"})
        return self

    def get_broker_choice(self) -> BrokerChoice | None:
        """Return the broker of the request, None where it names none."""
        return None if self.broker is None else BrokerChoice(self.broker, self.connection)

    @model_validator(mode="after")
    def _has_a_change(self) -> "PortfolioPatch":
        if self.name is None and not (self.model_fields_set - {"name"}):
            message = "Give `name` or a setting to change, such as `cost_schedule`."
            raise PydanticCustomError("change", message, {"field": "name"})
        return self
