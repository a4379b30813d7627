"""Request and response bodies of the risk routes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.http.fields import build_amount_schema, parse_amount, to_lower_case, to_upper_case
from app.http.lists import PageQuery, QueryTime
from app.http.request_models import FrozenRequestModel
from app.instruments.rules import normalize_symbol
from app.instruments.schemas import AssetClassName
from app.ledger.rules.tickets import find_portfolio_name_error
from app.ledger.schemas import Label, Note
from app.money import ZERO, format_money, is_storable
from app.risk.queries.switches import SwitchChange
from app.risk.rules.limits import LISTS, SWITCHES, LimitCode, LimitScope, RiskLimit
from app.risk.rules.permissions import NO_PRODUCT
from app.risk.rules.switches import ExitPolicy, SwitchScope, UnconfirmedCancel
from app.risk.rules.values import TradingState
from app.text import name_key
from app.timestamps import format_optional_timestamp, format_timestamp

_KEYS: dict[str, Callable[[str], str]] = {
    "portfolio": name_key,
    "instrument": lambda text: normalize_symbol(text) or "",
    "asset_class": str.lower,
}
ASSET_CLASSES: tuple[str, ...] = get_args(AssetClassName)
ScopeName = Annotated[Label, Field(min_length=1)]


MAX_WORDS = 900
MAX_WORD_LIST_CHARACTERS = 19_000  # normalized; it fits into an audit log entry
MAX_COUNT = 1_000_000
_MAX_LIST = 20_000  # characters
_SIDES, _PRODUCTS = frozenset({"BUY", "SELL"}), frozenset({"CNC", "MIS", "NRML", NO_PRODUCT})
_LISTED: dict[LimitCode, Callable[[str], str | None]] = {
    LimitCode.ALLOWED_SYMBOLS: normalize_symbol,
    LimitCode.ALLOWED_SIDES: lambda word: word if word in _SIDES else None,
    LimitCode.ALLOWED_PRODUCTS: lambda word: word if word in _PRODUCTS else None,
}


def _parse_amount(code: LimitCode, value: Any) -> Decimal:  # the raw JSON value
    amount = parse_amount(value)
    if not is_storable(amount):
        raise PydanticCustomError("amount", "At most 8 decimals, and 16 digits before the point.")
    if code in SWITCHES and amount not in {0, 1}:
        raise PydanticCustomError("switch", "Must be 1 for on or 0 for off.")
    if code is LimitCode.REPEATED_EXECUTIONS and (amount % 1 or amount > MAX_COUNT):
        raise PydanticCustomError("count", "Must be a whole number of at most {most}.", {"most": MAX_COUNT})
    return amount


def _normalize_words(code: LimitCode, value: Any) -> str:  # the raw JSON value
    """Return a normalized list: its words in upper case, without duplicates, sorted."""
    parts = value.upper().split(",") if isinstance(value, str) and len(value) <= _MAX_LIST else [""]
    entries = {_LISTED[code](entry.strip()) or "" for entry in parts}
    if "" in entries or len(entries) > MAX_WORDS:
        choices = {LimitCode.ALLOWED_SIDES: _SIDES, LimitCode.ALLOWED_PRODUCTS: _PRODUCTS}.get(code)
        context = {"what": " or ".join(sorted(choices)) if choices else "symbols"}
        raise PydanticCustomError("words", "Must be {what}, separated by commas.", context)
    text = ",".join(sorted(entries))
    if len(text) > MAX_WORD_LIST_CHARACTERS:
        most = {"most": f"{MAX_WORD_LIST_CHARACTERS:,}"}
        raise PydanticCustomError("words", "The list may have at most {most} characters.", most)
    return text


_VALUE = build_amount_schema(zero=True)["anyOf"]
_LIST = {"type": "string", "maxLength": _MAX_LIST, "description": "Of ALLOWED_…: words, parted by commas"}
LimitValue = Annotated[Any, WithJsonSchema({"anyOf": [*_VALUE, _LIST]})]


def _build_key(scope: str, name: str | None) -> str:
    """Return the key of a name. Raises a pydantic error if scope and name do not match."""
    if scope == "tenant":
        if name is not None:
            raise PydanticCustomError(
                "name", "A tenant's limit or switch has no `name`; leave it out.", {"field": "name"}
            )
        return ""
    if name is None:
        raise PydanticCustomError(
            "name", "Must be the name of the {scope}.", {"scope": scope, "field": "name"}
        )
    key = _KEYS.get(scope, str)(name)
    error = _find_name_error(scope, name, key)
    if error:
        raise PydanticCustomError("name", "{message}", {"message": error, "field": "name"})
    return key


def _find_name_error(scope: str, name: str, key: str) -> str | None:
    if scope == "portfolio":
        return find_portfolio_name_error(name)
    if scope == "asset_class" and key not in ASSET_CLASSES:
        return f"Must be one of {', '.join(ASSET_CLASSES)}."
    return None if key else "No symbol."


class LimitIn(FrozenRequestModel):
    """A limit. To remove it, set `value` to null. After `until`, the permanent limit applies again."""

    scope: Annotated[
        Literal["tenant", "portfolio", "user", "strategy", "instrument", "asset_class"],
        BeforeValidator(to_lower_case),
    ]
    name: ScopeName | None = Field(
        None, description="Of the portfolio, user, strategy or instrument; or the asset class"
    )
    code: Annotated[LimitCode, BeforeValidator(to_upper_case)]
    value: LimitValue | None
    until: QueryTime | None = None

    @model_validator(mode="after")
    def _require_matching_fields(self) -> "LimitIn":
        _build_key(self.scope, self.name)
        if self.code in LISTS and self.scope in {"instrument", "asset_class"}:
            raise PydanticCustomError(
                "scope",
                "A list cannot be set for an instrument or asset class; use another scope.",
                {"field": "scope"},
            )
        return self

    @field_validator("value", mode="plain")
    @classmethod
    def _parse_value(cls, value: Any, validation: ValidationInfo) -> Decimal | str | None:
        code = validation.data.get("code")
        if value is None or code is None:  # an invalid code is reported on its own
            return None
        return _normalize_words(code, value) if code in LISTS else _parse_amount(code, value)

    def build_limit(self, set_by: str, now: datetime) -> RiskLimit:
        """Return the limit, set at `now`. A limit to remove has the value 0."""
        key = _build_key(self.scope, self.name)
        until = format_optional_timestamp(self.until)
        name = key if self.scope in {"instrument", "asset_class"} else self.name or ""
        allowed_values = self.value if isinstance(self.value, str) else None
        value = self.value if isinstance(self.value, Decimal) else ZERO
        limit_key = (LimitScope(self.scope), key, name, self.code)
        return RiskLimit(*limit_key, value, until, set_by, format_timestamp(now), allowed_values)


class LimitOut(BaseModel):
    """A limit. `value` is null if it was just removed."""

    scope: str = Field(examples=["portfolio"])
    name: str | None = Field(examples=["Growth"])
    code: str = Field(examples=["MAX_ORDER_VALUE"])
    value: str | None = Field(examples=["25000.00"])
    until: str | None = Field(examples=["2026-11-20T16:00:00.000000Z"])
    in_force: bool = Field(description="False if the limit has expired, or a temporary limit overrides it")
    set_by: str = Field(examples=["bootstrap"])
    set_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])


class SwitchIn(FrozenRequestModel):
    """A change of a kill switch."""

    scope: Annotated[Literal["tenant", "portfolio", "strategy"], BeforeValidator(to_lower_case)]
    name: ScopeName | None = Field(
        None, description="Name of the portfolio or strategy; leave it out for `tenant`"
    )
    state: Annotated[TradingState, BeforeValidator(to_upper_case)]
    flatten: bool = Field(
        False, strict=True, description="Cancel all orders and close all positions at market"
    )
    exits: Annotated[ExitPolicy, BeforeValidator(to_lower_case)] = Field(
        ExitPolicy.KEEP,
        description="Only with HALTED. keep: exits stay open; cancel: they are canceled; flatten: "
        "same as `flatten: true`",
    )
    reason: Note | None = None

    @model_validator(mode="after")
    def _require_matching_fields(self) -> "SwitchIn":
        _build_key(self.scope, self.name)
        if self.exits is not ExitPolicy.KEEP and self.state is not TradingState.HALTED:
            message = "Only HALTED cancels orders: leave `exits` out, or send state HALTED."
            raise PydanticCustomError("exits", "{message}", {"message": message, "field": "exits"})
        return self

    @property
    def exit_policy(self) -> ExitPolicy | None:
        """The policy for exits, None if no orders are canceled."""
        if self.flatten:
            return ExitPolicy.FLATTEN
        return self.exits if self.state is TradingState.HALTED else None

    def build_change(
        self, set_by: str, now: datetime, key: str | None, request_hash: str | None
    ) -> SwitchChange:
        """Return the change, made at `now`."""
        return SwitchChange(
            scope=SwitchScope(self.scope),
            key=_build_key(self.scope, self.name),
            name=self.name or "",
            state=self.state,
            reason=self.reason or None,
            set_by=set_by,
            set_at=format_timestamp(now),
            idempotency_key=key,
            request_hash=request_hash,
        )


class SwitchOut(BaseModel):
    """The current state of a kill switch."""

    scope: str = Field(examples=["tenant"])
    name: str | None = Field(examples=[None])
    state: str = Field(examples=["HALTED"])
    reason: str | None = Field(examples=["Bad prices"])
    set_by: str | None = Field(examples=["bootstrap"])
    set_at: str | None = Field(examples=["2026-11-20T15:04:05.123456Z"])


class UnconfirmedCancelOut(BaseModel):
    """An order that its broker has not yet canceled.

    The request is repeated until the broker confirms it.
    """

    order_id: str = Field(description="ID of the order", examples=["O17952360655300000c5d8cbe8"])
    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    broker: str = Field(description="Name of the broker", examples=["alpaca"])
    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    side: str = Field(description="BUY or SELL", examples=["BUY"])
    leaves: str = Field(description="Units that can still fill", examples=["100"])


class KillSwitchResultOut(SwitchOut):
    """A kill switch that was set. This service executes no order that it forbids; see also `unconfirmed`."""

    portfolios: int = Field(description="Number of portfolios in which the new state is in effect")
    pending_portfolios: list[str] = Field(
        description="Portfolios in which the change is not finished. The service repeats it until it is"
    )
    unsettled: list[str] = Field(description="Former name of `pending_portfolios`, for one release")
    canceled: list[str] = Field(description="IDs of the canceled orders")
    flattened: dict[str, Any] | None = Field(
        description="Canceled orders, closing orders and remaining positions; null without `flatten`"
    )
    unconfirmed: list[UnconfirmedCancelOut] = Field(
        description="Orders that their broker has not yet canceled and can still fill"
    )


class LatchQuery(PageQuery):
    """Filters of the list of latches, and its page."""

    released: bool | None = Field(None, description="`false`: active latches; `true`: released latches")
    standing: bool | None = Field(
        None, description="Former name of `released`, with the opposite meaning, for one release"
    )

    @property
    def is_active(self) -> bool | None:
        """Whether the latches to list are active, None for all."""
        return self.standing if self.released is None else not self.released


class ReleaseIn(FrozenRequestModel):
    """The reason of a release."""

    reason: Note | None = None


class LatchOut(BaseModel):
    """An execution latch: an automatic stop for a strategy or API key that trades a symbol too often."""

    id: str = Field(examples=["L17952360655300000c5d8cbe8"])
    scope: str = Field(
        examples=["strategy"], description="`strategy`, or `key` for an API key that acts for no person"
    )
    name: str = Field(examples=["momentum"])
    symbol: str = Field(examples=["AAPL"])
    executions: int = Field(examples=[50], description="Orders that executed within a minute")
    limit: int = Field(examples=[50])
    set_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    released_at: str | None = Field(examples=[None])
    released_by: str | None = Field(examples=[None])
    reason: str | None = Field(examples=[None], description="Why it was released")


def serialize_limit(limit: RiskLimit, *, in_force: bool, is_removed: bool = False) -> dict[str, Any]:
    """Return the limit as `LimitOut` describes it."""
    return {
        "scope": limit.scope.value,
        "name": limit.name or None,
        "code": limit.code.value,
        "value": None if is_removed else limit.allowed_values or format_money(limit.value),
        "until": limit.until,
        "in_force": in_force,
        "set_by": limit.set_by,
        "set_at": limit.set_at,
    }


def serialize_switch(change: SwitchChange) -> dict[str, Any]:
    """Return the kill switch as `SwitchOut` describes it."""
    return {
        "scope": change.scope.value,
        "name": change.name or None,
        "state": change.state.value,
        "reason": change.reason,
        "set_by": change.set_by or None,
        "set_at": change.set_at or None,
    }


def build_kill_switch_result(
    change: SwitchChange,
    applied_portfolios: int,
    pending_portfolios: list[str],
    canceled: list[str],
    flattened: dict[str, Any] | None,
    unconfirmed: Sequence[UnconfirmedCancel],
) -> dict[str, Any]:
    """Return the change as `KillSwitchResultOut` describes it."""
    return {
        **serialize_switch(change),
        "portfolios": applied_portfolios,
        "pending_portfolios": pending_portfolios,
        "unsettled": pending_portfolios,
        "canceled": canceled,
        "flattened": flattened,
        "unconfirmed": [unconfirmed_cancel._asdict() for unconfirmed_cancel in unconfirmed],
    }
