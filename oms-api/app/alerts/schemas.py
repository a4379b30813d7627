"""Request and response bodies of alerts."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.alerts.queries import ListedAlert
from app.alerts.rules.conditions import AlertKind, Direction
from app.alerts.rules.event_payloads import serialize_threshold
from app.http.fields import SignedAmount, to_lower_case
from app.http.request_models import RequestModel
from app.instruments.schemas import Symbol
from app.ledger.schemas import PortfolioName
from app.money import format_optional_money
from app.timestamps import format_optional_timestamp, format_timestamp

Destination = Annotated[str, Field(pattern=r"^(me|[CG][A-Z0-9]{2,20})$")]


class AlertIn(RequestModel):
    """The condition of an alert, and where the alert is delivered."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {
        "portfolio": "Did you mean `portfolio_name`?",
        "price": "Use `above` or `below`.",
        "channel": "Did you mean `deliver_to`?",
    }

    kind: Annotated[AlertKind, BeforeValidator(to_lower_case)] = Field(
        description="Kind of value that the alert watches: `price`, `day_pnl`, `drawdown` or `limit_use`",
        examples=["price"],
    )
    symbol: Symbol | None = Field(
        None, description="Symbol of the instrument; only for kind `price`", examples=["AAPL"]
    )
    portfolio_name: PortfolioName | None = Field(
        None, description="Name of the portfolio; required for all other kinds", examples=[None]
    )
    above: SignedAmount | None = Field(
        None,
        description="Fires at this value or above: a price, an amount of P&L, or percent",
        examples=["200.00"],
    )
    below: SignedAmount | None = Field(
        None, description="Fires at this value or below, in the same units", examples=[None]
    )
    repeat: StrictBool = Field(
        False, description="Whether it fires at each crossing instead of once", examples=[False]
    )
    deliver_to: Destination = Field("me", description="`me` or the ID of a Slack channel", examples=["me"])

    @model_validator(mode="after")
    def _validate_fields(self) -> "AlertIn":
        if (self.above is None) == (self.below is None):
            raise PydanticCustomError("threshold", "Send either `above` or `below`.", {"field": "above"})
        is_price = self.kind is AlertKind.PRICE
        for field, is_needed in (("symbol", is_price), ("portfolio_name", not is_price)):
            if (getattr(self, field) is not None) != is_needed:
                message = (
                    f"`{field}` is required for this kind of alert."
                    if is_needed
                    else f"`{field}` is not allowed for this kind of alert."
                )
                raise PydanticCustomError("alert_subject", "{message}", {"message": message, "field": field})
        if self.kind is not AlertKind.DAY_PNL and self.threshold <= 0:
            message = "Must be positive."
            field = "above" if self.direction is Direction.ABOVE else "below"
            raise PydanticCustomError("threshold", "{message}", {"message": message, "field": field})
        return self

    @property
    def direction(self) -> Direction:
        """The side on which the condition is true."""
        return Direction.BELOW if self.above is None else Direction.ABOVE

    @property
    def threshold(self) -> Decimal:
        """The value of `above` or `below`."""
        threshold = self.below if self.above is None else self.above
        assert threshold is not None, "validated"  # noqa: S101  # for the type checker
        return threshold


class AlertOut(BaseModel):
    """An alert with its state."""

    id: str = Field(description="ID of the alert", examples=["A17952423050000000c1937aec"])
    kind: AlertKind = Field(description="Kind of value that the alert watches", examples=["price"])
    symbol: str | None = Field(
        description="Symbol of the instrument; only for kind `price`", examples=["AAPL"]
    )
    portfolio_name: str | None = Field(
        description="Name of the portfolio; null: the alert is on a price", examples=[None]
    )
    above: str | None = Field(description="Fires at this value or above", examples=["200.00"])
    below: str | None = Field(description="Fires at this value or below", examples=[None])
    repeat: bool = Field(description="Whether it fires at each crossing", examples=[False])
    deliver_to: str = Field(description="`me` or the ID of a Slack channel", examples=["me"])
    status: Literal["armed", "waiting", "done"] = Field(
        description="`armed`: it can fire; `waiting`: it fired, and is armed again when the value "
        "moves back; `done`: it fired and does not repeat",
        examples=["armed"],
    )
    firing: int = Field(description="Number of times the alert fired", examples=[0])
    value: str | None = Field(description="Value at which it last fired", examples=[None])
    fired_at: str | None = Field(description="Time at which it last fired, in UTC", examples=[None])
    created_at: str = Field(description="Time of creation, in UTC", examples=["2026-11-20T15:04:05.123456Z"])


EXAMPLE: dict[str, Any] = {
    "kind": "price",
    "symbol": "AAPL",
    "above": "200.00",
    "repeat": False,
    "deliver_to": "me",
}


def serialize_alert(listed_alert: ListedAlert) -> dict[str, Any]:
    """Return the alert as `AlertOut` describes it."""
    alert = listed_alert.alert
    return {
        "id": alert.id,
        "kind": alert.kind,
        "symbol": alert.symbol,
        "portfolio_name": listed_alert.portfolio_name,
        **serialize_threshold(alert),
        "repeat": alert.is_repeating,
        "deliver_to": alert.deliver_to,
        "status": "done" if not alert.is_active else "armed" if alert.is_armed else "waiting",
        "firing": alert.firing,
        "value": format_optional_money(alert.value),
        "fired_at": format_optional_timestamp(alert.fired_at),
        "created_at": format_timestamp(alert.created_at),
    }
