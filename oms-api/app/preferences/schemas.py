"""Request and response bodies of preferences."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.brokers.rules.values import OrderType, TimeInForce
from app.http.fields import clean_label, to_lower_case, to_upper_case
from app.http.request_models import RequestModel
from app.instruments.schemas import Symbol
from app.ledger.schemas import PortfolioName

MAX_EVENT_TYPES = 100
MAX_WATCHLISTS = 20
MAX_SYMBOLS_PER_WATCHLIST = 200
_EVENT_TYPE = re.compile(r"[a-z_]{1,30}\.([a-z_]{1,30}|\*)", re.ASCII)
_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
NumberFormat = Literal["1,234.5", "1.234,5"]
NotificationMode = Annotated[Literal["ping", "bundle", "off"], BeforeValidator(to_lower_case)]


@cache
def _list_time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _validate_time_zone(value: str) -> str:
    if value not in _list_time_zones():
        raise PydanticCustomError("time_zone", "Must be an IANA time zone, such as Europe/Berlin.")
    return value


def _validate_event_type(value: str) -> str:
    if not _EVENT_TYPE.fullmatch(value):
        raise PydanticCustomError("event_type", "Must be an event type such as order.filled or alert.*.")
    return value


EventTypePattern = Annotated[str, Field(max_length=61), AfterValidator(_validate_event_type)]
WatchlistName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(clean_label)]
TimeZone = Annotated[str, Field(max_length=60), AfterValidator(_validate_time_zone)]
LocalTimeText = Annotated[str, Field(pattern=_TIME_PATTERN)]


class QuietHours(RequestModel):
    """A daily period without notifications, in the time zone of the person. It may span midnight."""

    since: LocalTimeText = Field(alias="from", description="Local time, HH:MM", examples=["22:00"])
    until: LocalTimeText = Field(alias="to", description="Local time, HH:MM", examples=["07:00"])

    @model_validator(mode="after")
    def _require_period(self) -> "QuietHours":
        if self.since == self.until:
            raise PydanticCustomError("quiet_hours", "Must differ from `from`.", {"field": "to"})
        return self


class PreferencesIn(RequestModel):
    """The preferences to change. A field that you leave out keeps its value."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {
        "portfolio": "Did you mean `default_portfolio`?",
        "timezone": "Did you mean `time_zone`?",
    }

    default_portfolio: PortfolioName | None = Field(
        None,
        description="Portfolio that is selected when an order or trade form opens. If null, there is none.",
        examples=["Growth"],
    )
    order_type: Annotated[OrderType, BeforeValidator(to_upper_case)] = Field(
        OrderType.MARKET,
        description="Order type that is selected when an order form opens",
        examples=["LIMIT"],
    )
    time_in_force: Annotated[TimeInForce, BeforeValidator(to_upper_case)] = Field(
        TimeInForce.DAY,
        description="Time in force that is selected when an order form opens",
        examples=["DAY"],
    )
    number_format: NumberFormat = Field(
        "1,234.5", description="Format of numbers, shown by an example", examples=["1,234.5"]
    )
    time_zone: TimeZone = Field("UTC", description="IANA time zone", examples=["Europe/Berlin"])
    quiet_hours: QuietHours | None = Field(
        None,
        description="Daily period in which notifications are held back. If null, there is none.",
        examples=[{"from": "22:00", "to": "07:00"}],
    )
    notify: dict[EventTypePattern, NotificationMode] = Field(
        {},
        max_length=MAX_EVENT_TYPES,
        description="By event type or family: `ping` (at once), `bundle` (with others) or `off`",
        examples=[{"order.filled": "bundle", "approval.*": "ping"}],
    )
    watchlists: dict[WatchlistName, Annotated[list[Symbol], Field(max_length=MAX_SYMBOLS_PER_WATCHLIST)]] = (
        Field(
            {},
            max_length=MAX_WATCHLISTS,
            description="Symbols by the name of the watchlist",
            examples=[{"Tech": ["AAPL"]}],
        )
    )

    def to_fields(self) -> dict[str, Any]:
        """Return the fields that the request names, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class PreferencesOut(PreferencesIn):
    """All preferences of the caller."""


DEFAULTS: Mapping[str, Any] = PreferencesIn().model_dump(mode="json", by_alias=True)
EXAMPLE: dict[str, Any] = {
    "default_portfolio": None,
    "number_format": "1.234,5",
    "time_zone": "Europe/Berlin",
    "quiet_hours": {"from": "22:00", "to": "07:00"},
    "notify": {"order.filled": "bundle", "approval.requested": "ping", "limit.*": "off"},
    "watchlists": {"Tech": ["AAPL", "MSFT"]},
}
