"""Resolve which limits apply to an order.

If several caps are set, the strictest applies. If several parameters are set, the most specific applies.
Firm-wide limits always apply.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import partial, reduce
from typing import NamedTuple

from app.money import ZERO
from app.risk.rules.values import OrderLimits
from app.timestamps import BEFORE_ALL, Timestamp


class LimitScope(StrEnum):
    """The kind of subject that a limit applies to."""

    TENANT = "tenant"
    PORTFOLIO = "portfolio"
    USER = "user"
    STRATEGY = "strategy"
    ASSET_CLASS = "asset_class"
    INSTRUMENT = "instrument"


class LimitCode(StrEnum):
    """The quantity or value that a limit applies to.

    Values are in the portfolio's currency unless the name says otherwise. Switches are 1 for on and 0 for
    off.
    """

    MAX_ORDER_QUANTITY = "MAX_ORDER_QUANTITY"
    MAX_ORDER_VALUE = "MAX_ORDER_VALUE"
    MIN_PRICE = "MIN_PRICE"
    MAX_PRICE = "MAX_PRICE"
    PRICE_COLLAR_PERCENT = "PRICE_COLLAR_PERCENT"
    MAX_POSITION_VALUE = "MAX_POSITION_VALUE"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    MAX_NET_EXPOSURE = "MAX_NET_EXPOSURE"
    SHORT_SELLING = "SHORT_SELLING"
    REPEAT_ORDER_SECONDS = "REPEAT_ORDER_SECONDS"
    MESSAGES_PER_MINUTE = "MESSAGES_PER_MINUTE"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    STARTER_PROFILE = "STARTER_PROFILE"
    REPEATED_EXECUTIONS = "REPEATED_EXECUTIONS"
    ALLOWED_SYMBOLS = "ALLOWED_SYMBOLS"
    ALLOWED_SIDES = "ALLOWED_SIDES"
    ALLOWED_PRODUCTS = "ALLOWED_PRODUCTS"


# In the order of the fields of `Permission`. Values are words, separated by commas.
LISTS = (LimitCode.ALLOWED_SYMBOLS, LimitCode.ALLOWED_SIDES, LimitCode.ALLOWED_PRODUCTS)
SWITCHES = frozenset({LimitCode.SHORT_SELLING, LimitCode.STARTER_PROFILE})
# Set for the tenant, these apply to the sum of its portfolios; set for another scope, to one portfolio.
AGGREGATES = {
    LimitCode.MAX_GROSS_EXPOSURE: "firm_gross_exposure",
    LimitCode.MAX_NET_EXPOSURE: "firm_net_exposure",
    LimitCode.MAX_OPEN_ORDERS: "firm_open_orders",
    LimitCode.MAX_DAILY_LOSS: "firm_daily_loss",
}
# A live portfolio can trade only if each of these is set.
NEEDED = tuple(
    code
    for code in LimitCode
    if code.startswith("MAX_") or code in {LimitCode.PRICE_COLLAR_PERCENT, LimitCode.SHORT_SELLING}
)
_DEFAULT_PROFILE: Mapping[LimitCode, Decimal] = {
    LimitCode.MAX_ORDER_QUANTITY: Decimal(1_000_000),
    LimitCode.MAX_ORDER_VALUE: Decimal(100_000_000),
    LimitCode.MIN_PRICE: Decimal("0.00000001"),
    LimitCode.MAX_PRICE: Decimal(1_000_000),
    LimitCode.PRICE_COLLAR_PERCENT: Decimal(10),
    LimitCode.SHORT_SELLING: Decimal(1),
    LimitCode.REPEAT_ORDER_SECONDS: Decimal(10),
}
_STARTER = {LimitCode.MAX_ORDER_QUANTITY: Decimal(100), LimitCode.MAX_POSITION_VALUE: Decimal(10_000)}
_STARTER_UNITS = {"crypto": Decimal(1)}  # for asset classes that are not counted in shares

# Of these the most specific row applies. All other codes are caps: the strictest matching row applies, so
# that naming a strategy with a loose cap gains nothing.
_PARAMETERS = frozenset(
    {LimitCode.MIN_PRICE, LimitCode.MAX_PRICE, LimitCode.PRICE_COLLAR_PERCENT, LimitCode.REPEAT_ORDER_SECONDS}
)
_HIGHER_IS_STRICTER = {LimitCode.MIN_PRICE, LimitCode.REPEAT_ORDER_SECONDS, LimitCode.STARTER_PROFILE}

ScopeKey = tuple[LimitScope, str]
ScopedLimitValues = Mapping[tuple[LimitCode, LimitScope, str], Decimal]  # by code, scope and key of the name


class LimitSubject(NamedTuple):
    """The owner and the terms of an order that select its limits.

    `key` is the API key ("key:algo") if it acts for no person. Limits of a user with that name apply to the
    key too; then `user` is only a label, whose limits can narrow but not widen.
    """

    portfolio_name_key: str
    symbol: str
    user: str | None = None
    strategy: str | None = None
    asset_class: str = "equity"
    is_live: bool = False
    key: str | None = None


class RiskLimit(NamedTuple):
    """A limit that was set.

    With `until` (canonical text) it is temporary: afterwards the permanent limit applies again. For a list,
    `allowed_values` is the value, separated by commas.
    """

    scope: LimitScope
    key: str
    name: str
    code: LimitCode
    value: Decimal
    until: Timestamp | None = None
    set_by: str = ""
    set_at: Timestamp = BEFORE_ALL
    allowed_values: str | None = None


def filter_active_limits(rows: Iterable[RiskLimit], now: str) -> list[RiskLimit]:
    """Return the limits that apply at `now` (canonical text). Temporary limits replace permanent ones."""
    active_limits: dict[tuple[LimitCode, LimitScope, str], RiskLimit] = {}
    for row in sorted(rows, key=lambda set_limit: set_limit.until is not None):
        if row.until is None or row.until > now:
            active_limits[row.code, row.scope, row.key] = row
    return list(active_limits.values())


def index_limits(limits: Iterable[RiskLimit]) -> ScopedLimitValues:
    """Return the values of limits by code, scope and name key."""
    return {(limit.code, limit.scope, limit.key): limit.value for limit in limits}


def list_limited_scopes(rows: ScopedLimitValues) -> frozenset[ScopeKey]:
    """Return the scopes and name keys that have limits."""
    return frozenset((scope, key) for _, scope, key in rows)


def drop_unlimited_names(subject: LimitSubject, scope_keys: frozenset[ScopeKey]) -> LimitSubject:
    """Return the subject without names that have no limits, so that many orders share one cache entry."""
    portfolio, symbol, user, strategy, asset_class, is_live, key = subject
    names_user = (LimitScope.USER, user) in scope_keys
    return LimitSubject(
        portfolio_name_key=portfolio if (LimitScope.PORTFOLIO, portfolio) in scope_keys else "",
        symbol=symbol if (LimitScope.INSTRUMENT, symbol) in scope_keys else "",
        user=user if names_user else None,
        strategy=strategy if (LimitScope.STRATEGY, strategy) in scope_keys else None,
        asset_class=asset_class,
        is_live=is_live,
        # The key is kept with a user's limits too, to distinguish a label from a person.
        key=key if names_user or (LimitScope.USER, key) in scope_keys else None,
    )


def resolve_limits(subject: LimitSubject, rows: ScopedLimitValues) -> OrderLimits:
    """Return the limits of an order.

    Limits that are not set come from the default profile; for a live portfolio they are missing.
    """
    label = subject.user if subject.key not in {None, subject.user} else None
    scope_keys = [key for key in list_scope_keys(subject) if key != (LimitScope.USER, label)]
    values = {code: _resolve_value(code, scope_keys, rows) for code in LimitCode}
    user_rows = {code: rows.get((code, LimitScope.USER, label)) if label else None for code in LimitCode}
    firm = {field: rows.get((code, LimitScope.TENANT, "")) for code, field in AGGREGATES.items()}
    if subject.is_live:
        missing = tuple(
            code for code in NEEDED if values[code] is None and firm.get(AGGREGATES.get(code, "")) is None
        )
    else:
        missing = ()
        _fill_missing(
            values, _build_profile(subject, values, starts=bool(user_rows[LimitCode.STARTER_PROFILE]))
        )
    _apply_labeled_limits(values, user_rows)
    return _build_limits(values, firm, missing)


def list_scope_keys(subject: LimitSubject) -> list[ScopeKey]:
    """Return the scopes and names whose limits apply, the most specific first.

    The key comes before the user named in the request, which is only a label.
    """
    scopes_of_names = (
        (LimitScope.INSTRUMENT, subject.symbol),
        (LimitScope.ASSET_CLASS, subject.asset_class),
        (LimitScope.STRATEGY, subject.strategy),
        (LimitScope.USER, subject.key),
        (LimitScope.USER, subject.user),
        (LimitScope.PORTFOLIO, subject.portfolio_name_key),
    )
    return [(scope, name) for scope, name in scopes_of_names if name] + [(LimitScope.TENANT, "")]


def _resolve_value(code: LimitCode, scope_keys: list[ScopeKey], rows: ScopedLimitValues) -> Decimal | None:
    """Return the most specific value of a parameter or the strictest of a cap, None if none is set."""
    is_aggregate = code in AGGREGATES
    matching = [
        rows[code, scope, key]
        for scope, key in scope_keys
        if (code, scope, key) in rows and not (is_aggregate and scope is LimitScope.TENANT)
    ]
    if not matching:
        return None
    return matching[0] if code in _PARAMETERS else reduce(partial(_get_stricter, code), matching)


def _build_profile(
    subject: LimitSubject, values: Mapping[LimitCode, Decimal | None], *, starts: bool
) -> dict[LimitCode, Decimal]:
    profile = dict(_DEFAULT_PROFILE)
    if starts or values[LimitCode.STARTER_PROFILE]:
        profile.update(_STARTER)
        quantity = LimitCode.MAX_ORDER_QUANTITY
        profile[quantity] = _STARTER_UNITS.get(subject.asset_class, profile[quantity])
    return profile


def _fill_missing(values: dict[LimitCode, Decimal | None], profile: Mapping[LimitCode, Decimal]) -> None:
    for code, value in profile.items():
        if values[code] is None:
            values[code] = value


def _apply_labeled_limits(
    values: dict[LimitCode, Decimal | None], label: Mapping[LimitCode, Decimal | None]
) -> None:
    for code, value in label.items():
        current = values[code]
        if value is not None:
            values[code] = value if current is None else _get_stricter(code, current, value)


def _get_stricter(code: LimitCode, first: Decimal, second: Decimal) -> Decimal:
    if code is LimitCode.REPEATED_EXECUTIONS and not (first and second):  # zero means no limit
        return first or second
    return max(first, second) if code in _HIGHER_IS_STRICTER else min(first, second)


def _build_limits(
    values: Mapping[LimitCode, Decimal | None], firm: Mapping[str, Decimal | None], missing: tuple[str, ...]
) -> OrderLimits:
    return OrderLimits(
        max_order_quantity=values[LimitCode.MAX_ORDER_QUANTITY],
        max_order_value=values[LimitCode.MAX_ORDER_VALUE],
        min_price=values[LimitCode.MIN_PRICE],
        max_price=values[LimitCode.MAX_PRICE],
        price_collar_percent=values[LimitCode.PRICE_COLLAR_PERCENT],
        max_position_value=values[LimitCode.MAX_POSITION_VALUE],
        max_gross_exposure=values[LimitCode.MAX_GROSS_EXPOSURE],
        max_net_exposure=values[LimitCode.MAX_NET_EXPOSURE],
        short_selling=bool(values[LimitCode.SHORT_SELLING]),
        repeat_order_seconds=values[LimitCode.REPEAT_ORDER_SECONDS] or ZERO,
        max_open_orders=values[LimitCode.MAX_OPEN_ORDERS],
        max_daily_loss=values[LimitCode.MAX_DAILY_LOSS],
        max_drawdown=values[LimitCode.MAX_DRAWDOWN],
        messages_per_minute=values[LimitCode.MESSAGES_PER_MINUTE],
        firm_gross_exposure=firm["firm_gross_exposure"],
        firm_net_exposure=firm["firm_net_exposure"],
        firm_open_orders=firm["firm_open_orders"],
        firm_daily_loss=firm["firm_daily_loss"],
        missing=missing,
        repeated_executions=values[LimitCode.REPEATED_EXECUTIONS] or ZERO,
    )
