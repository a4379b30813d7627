"""Request and response bodies of cost estimates."""

import datetime
import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.costs.rules.markets import CostMarket, Exchange
from app.costs.rules.rates import Rate, Unit
from app.costs.rules.values import ChargedExecution, Charges, OrderTerms, Schedule
from app.http.fields import PositiveAmount, to_upper_case
from app.http.request_models import FrozenRequestModel
from app.money import format_money, format_plain_amount, is_storable

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _convert_to_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _parse_date(value: Any) -> datetime.date:  # any JSON value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("date", "Must be a date, such as 2026-11-20.")


PlainDate = Annotated[
    datetime.date, BeforeValidator(_parse_date), WithJsonSchema({"type": "string", "format": "date"})
]


class EstimateIn(FrozenRequestModel):
    """An order whose charges are estimated as if one execution filled it, the first of its day."""

    OTHER_NAMES: ClassVar[dict[str, str]] = {
        "qty": "Use `quantity`.",
        "market": "Use `exchange`, such as NSE or NASDAQ.",
    }

    schedule: Annotated[Schedule, BeforeValidator(_convert_to_lower_case)]
    exchange: Annotated[Exchange, BeforeValidator(to_upper_case)] = Field(
        description="Where the order trades"
    )
    product: Annotated[Literal["CNC", "MIS", "NRML"] | None, BeforeValidator(to_upper_case)] = Field(
        None, description="CNC (delivery) or MIS (intraday); null: CNC"
    )
    side: Annotated[Literal["BUY", "SELL"], BeforeValidator(to_upper_case)]
    quantity: PositiveAmount
    price: PositiveAmount = Field(description="Price per unit, in the currency of the exchange")
    date: PlainDate | None = Field(None, description="Trading day at the exchange; null: today")

    @model_validator(mode="after")
    def _storable_value(self) -> "EstimateIn":
        if not is_storable(self.to_execution().value):
            message = "`quantity` × `price` must have at most 16 digits before the point."
            raise PydanticCustomError("amount", "{message}", {"message": message, "field": "quantity"})
        return self

    def to_execution(self) -> ChargedExecution:
        """Return the execution that fills the order."""
        return ChargedExecution.from_price(self.quantity, self.price)

    def to_terms(self, on: datetime.date) -> OrderTerms:
        """Return the terms of the order on that day."""
        return OrderTerms(self.schedule, self.exchange, self.side, on, self.product)


class ChargesOut(BaseModel):
    """Charges by component.

    `zerodha` has the Indian components, `us_equity` has `regulatory`, and `ibkr_fixed` has `regulatory` and
    `commission`.
    """

    total: str = Field(examples=["28.22"])
    brokerage: str | None = Field(None, examples=["13.20"])
    stt: str | None = Field(None, examples=["11.00"], description="Securities transaction tax")
    exchange: str | None = Field(None, examples=["1.35"], description="Transaction charge of the exchange")
    sebi: str | None = Field(None, examples=["0.04"], description="Turnover fee of the regulator")
    gst: str | None = Field(None, examples=["2.63"])
    stamp_duty: str | None = Field(None, examples=["0.00"])
    square_off: str | None = Field(
        None, examples=["0.00"], description="Charge for closing an intraday position"
    )
    commission: str | None = Field(None, examples=["1.00"])
    regulatory: str | None = Field(None, examples=["0.02"], description="SEC, FINRA TAF and CAT fees")


class RateOut(BaseModel):
    """A rate that the estimate used."""

    component: str = Field(examples=["brokerage"])
    rate: str = Field(examples=["0.03"])
    unit: Unit
    minimum: str | None = Field(description="Least amount, in the currency of the exchange")
    maximum: str | None = Field(
        examples=["20"], description="Greatest amount; of US fees per execution, else per order"
    )
    rounding_step: str = Field(examples=["0.01"])
    effective_from: str = Field(examples=["2021-01-01"])
    source: str = Field(examples=["Zerodha, list of charges, https://zerodha.com/charges (November 2026)"])


class EstimateOut(BaseModel):
    """The charges of an order, and the rates from which they were computed."""

    schedule: Schedule
    exchange: Exchange
    market: str = Field(examples=["IN"], description="ISO country code")
    product: str | None = Field(examples=["MIS"])
    side: str = Field(examples=["SELL"])
    quantity: str = Field(examples=["40"])
    price: str = Field(examples=["1100.00"])
    value: str = Field(examples=["44000.00"], description="quantity × price, before charges")
    date: str = Field(examples=["2026-11-20"])
    currency: str = Field(examples=["INR"])
    total: str = Field(examples=["28.22"])
    charges: ChargesOut
    dp_charge: str | None = Field(
        examples=["0.00"],
        description="Depository charge of a delivery sale, once per scrip and day, not in `total`; or null",
    )
    not_covered: bool = Field(description="Whether the schedule has no rates for this; nothing is charged")
    rates: list[RateOut]


def serialize_estimate(
    body: EstimateIn, order: OrderTerms, charges: Charges, dp_charge: Decimal | None, rates: tuple[Rate, ...],
    market: CostMarket, *, is_covered: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the estimate as `EstimateOut`."""
    total = format_money(charges.total)
    components = charges.list_components(order.schedule)
    return {
        "schedule": order.schedule.value,
        "exchange": order.exchange,
        "market": market.code,
        "product": order.product,
        "side": order.side,
        "quantity": format_plain_amount(body.quantity),
        "price": format_money(body.price),
        "value": format_money(body.to_execution().value),
        "date": order.on.isoformat(),
        "currency": market.currency,
        "total": total,
        "charges": {"total": total, **{name: format_money(amount) for name, amount in components.items()}},
        "dp_charge": None if dp_charge is None else format_money(dp_charge),
        "not_covered": not is_covered,
        "rates": [_serialize_rate(rate) for rate in rates],
    }


def _serialize_rate(rate: Rate) -> dict[str, Any]:
    return {
        "component": rate.component,
        "rate": format_plain_amount(rate.rate),
        "unit": rate.unit.value,
        "minimum": None if rate.minimum is None else format_plain_amount(rate.minimum),
        "maximum": None if rate.maximum is None else format_plain_amount(rate.maximum),
        "rounding_step": format_plain_amount(rate.step),
        "effective_from": rate.effective_from.isoformat(),
        "source": rate.source,
    }
