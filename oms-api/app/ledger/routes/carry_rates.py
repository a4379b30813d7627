"""The yearly rates of a portfolio's interest and borrow fees in a request body."""

from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.calendars.schemas import LocalDate
from app.http.fields import Amount, to_lower_case
from app.http.request_models import FrozenRequestModel
from app.ledger.routes.currencies import KnownCurrency
from app.ledger.rules.settings import CarryRateKind

MAX_PERCENT = Decimal(1000)


def _require_rate(value: Decimal) -> Decimal:
    if value > MAX_PERCENT:
        raise PydanticCustomError("amount", "Must be at most 1,000 percent a year.")
    return value


class CarryRateIn(FrozenRequestModel):
    """A yearly rate that applies from a date until a later one of the same kind and currency replaces it."""

    kind: Annotated[CarryRateKind, BeforeValidator(to_lower_case)] = Field(
        description="`interest` is earned on positive cash, `margin` is paid on negative cash, `borrow` on "
        "the market value of short positions",
        examples=["margin"],
    )
    since: LocalDate = Field(
        alias="from", description="First day to which it applies", examples=["2026-01-01"]
    )
    percent: Annotated[Amount, AfterValidator(_require_rate)] = Field(
        description="Percent a year of 365 days", examples=["8.5"]
    )
    currency: KnownCurrency | None = Field(
        None, description="`borrow`: of instruments in this currency; null: of all others", examples=["USD"]
    )

    @model_validator(mode="after")
    def _has_a_currency_only_for_shorts(self) -> Self:
        if self.currency is not None and self.kind is not CarryRateKind.BORROW:
            message = "Give `currency` with the kind borrow only: cash is in the portfolio's currency."
            raise PydanticCustomError("carry_rate", message, {"field": "currency"})
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the rate as it is stored and shown."""
        percent = f"{self.percent:f}"
        return {
            "kind": self.kind.value,
            "from": self.since.isoformat(),
            "percent": percent,
            "currency": self.currency,
        }
