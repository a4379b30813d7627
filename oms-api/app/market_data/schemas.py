"""Request and response bodies of quotes and bars."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.http.fields import Amount, PositiveAmount, check_length, clean, require_storable
from app.http.lists import QueryTime
from app.http.request_models import FrozenRequestModel
from app.instruments.schemas import Symbol
from app.market_data.errors import ExpiryPassed
from app.market_data.queries.subscriptions import Subscription
from app.market_data.rules.values import Bar, MarkOverride, Quote, compute_age, compute_mid
from app.money import format_optional_money, format_optional_quantity
from app.timestamps import format_timestamp

_AT = "2026-11-20T15:04:05.123456Z"


MAX_REASON_LENGTH = 500
MarkReason = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(clean),
    AfterValidator(check_length(MAX_REASON_LENGTH)),
]
QuoteSize = Annotated[Amount, AfterValidator(require_storable)]


class QuoteIn(FrozenRequestModel):
    """The `bid`, `ask` and `last` price of a symbol, at least one of them.

    A size is the number of units that can fill against that side. Without a size, any quantity fills.
    """

    bid: PositiveAmount | None = None
    ask: PositiveAmount | None = None
    last: PositiveAmount | None = None
    bid_size: QuoteSize | None = None
    ask_size: QuoteSize | None = None

    @model_validator(mode="after")
    def _require_valid_prices(self) -> "QuoteIn":
        if self.bid is None and self.ask is None and self.last is None:
            raise PydanticCustomError("no_price", "Send `bid`, `ask` or `last`.", {"field": "last"})
        if self.bid is not None and self.ask is not None and self.bid > self.ask:
            raise PydanticCustomError("crossed", "The bid must not be above the ask.", {"field": "bid"})
        return self

    def build_quote(self, symbol: str, at: datetime) -> Quote:
        """Return the quote, with `at` as its time."""
        return Quote(
            symbol=symbol,
            bid=self.bid,
            ask=self.ask,
            last=self.last,
            bid_size=self.bid_size,
            ask_size=self.ask_size,
            at=at,
            source="manual",
        )


class QuoteOut(BaseModel):
    """The latest quote of a symbol."""

    symbol: str = Field(examples=["AAPL"])
    bid: str | None = Field(examples=["99.00"])
    ask: str | None = Field(examples=["101.00"])
    last: str | None = Field(examples=["100.00"])
    mid: str | None = Field(examples=["100.00"])
    bid_size: str | None
    ask_size: str | None
    at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    age_seconds: float = Field(examples=[0.25])
    source: str = Field(examples=["manual"])


class BarOut(BaseModel):
    """The open, high, low and close price of the interval that begins at `start`."""

    start: str = Field(examples=["2026-11-20T15:04:00.000000Z"])
    open: str = Field(examples=["100.00"])
    high: str = Field(examples=["101.00"])
    low: str = Field(examples=["99.50"])
    close: str = Field(examples=["100.25"])
    volume: str | None = Field(description="Units traded; null: unknown")


class MarkIn(FrozenRequestModel):
    """The price at which positions in a symbol are valued until `expires_at`."""

    price: PositiveAmount = Field(
        description="Price per unit, in the instrument's currency", examples=["95.00"]
    )
    reason: MarkReason = Field(
        description="Why the market's price is not used", examples=["Halted since noon"]
    )
    expires_at: QueryTime = Field(
        description="Time at which the mark expires, in UTC", examples=["2036-12-31T21:00:00Z"]
    )

    def build_mark_override(self, symbol: str, set_by: str, at: datetime) -> MarkOverride:
        """Return the mark that `set_by` sets at an instant. Raises ExpiryPassed."""
        if self.expires_at <= at:
            raise ExpiryPassed
        return MarkOverride(symbol, self.price, self.reason, set_by, at, self.expires_at)


class MarkOut(BaseModel):
    """A mark that a person set."""

    symbol: str = Field(examples=["AAPL"])
    price: str = Field(examples=["95.00"], description="Price per unit, in the instrument's currency")
    reason: str = Field(examples=["Halted since noon"], description="Why the market's price is not used")
    set_by: str = Field(
        examples=["slack:T0123:U0123"], description="Person, or the key if it acts for no person"
    )
    set_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    expires_at: str = Field(
        examples=["2036-12-31T21:00:00.000000Z"], description="Time at which the mark expires, in UTC"
    )


class SubscriptionsIn(FrozenRequestModel):
    """Symbols to follow."""

    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=500)] = Field(
        description="Symbols or aliases; letter case does not matter", examples=[["AAPL", "MSFT"]]
    )


class SubscriptionOut(BaseModel):
    """A symbol whose quotes are followed, with its last quote."""

    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    created_by: str = Field(description="Person or key that subscribed", examples=["alice@example.com"])
    created_at: str = Field(description="Time of the subscription, in UTC", examples=[_AT])
    quote: QuoteOut | None = Field(description="The last quote with its age; null: there is none")
    is_stale: bool | None = Field(
        description="Whether the source of the quote has been silent for too long; null: no quote",
        examples=[False],
    )


class FeedHealthOut(BaseModel):
    """The state of market data in this process."""

    status: Literal["ok", "stale"] = Field(
        description="`stale`: the price source is silent for too long", examples=["ok"]
    )
    price_source: str = Field(description="Name of the price source", examples=["simulated"])
    last_heard_at: str | None = Field(
        description="Time of its last answer, in UTC; null: its prices are never stale", examples=[_AT]
    )
    silence_seconds: float | None = Field(description="Seconds since then", examples=[0.4])
    max_silence_seconds: float = Field(description="Seconds after which quotes are stale", examples=[30.0])
    followed_symbols: int = Field(
        description="Symbols that the source follows, of all tenants", examples=[12]
    )
    subscriptions: int = Field(description="Subscriptions of the tenant", examples=[2])
    stale_symbols: list[str] = Field(description="Subscriptions with a stale quote", examples=[[]])
    missing_symbols: list[str] = Field(description="Subscriptions without a quote", examples=[[]])


def serialize_subscription(
    subscription: Subscription, quote: Quote | None, now: datetime, *, is_stale: bool | None
) -> dict[str, Any]:
    """Serialize the subscription as `SubscriptionOut`."""
    serialized = None if quote is None else serialize_quote(quote, now)
    fields = {"symbol": subscription.symbol, "created_by": subscription.created_by}
    return fields | {
        "created_at": format_timestamp(subscription.created_at),
        "quote": serialized,
        "is_stale": is_stale,
    }


def serialize_quote(quote: Quote, now: datetime) -> dict[str, Any]:
    """Serialize the quote as `QuoteOut`."""
    return {
        "symbol": quote.symbol,
        "bid": format_optional_money(quote.bid),
        "ask": format_optional_money(quote.ask),
        "last": format_optional_money(quote.last),
        "mid": format_optional_money(compute_mid(quote)),
        "bid_size": format_optional_quantity(quote.bid_size),
        "ask_size": format_optional_quantity(quote.ask_size),
        "at": format_timestamp(quote.at),
        "age_seconds": round(compute_age(quote, now).total_seconds(), 3),
        "source": quote.source,
    }


def serialize_bar(bar: Bar) -> dict[str, Any]:
    """Serialize the bar as `BarOut`."""
    return {
        "start": format_timestamp(bar.start),
        "open": format_optional_money(bar.open),
        "high": format_optional_money(bar.high),
        "low": format_optional_money(bar.low),
        "close": format_optional_money(bar.close),
        "volume": format_optional_quantity(bar.volume),
    }
