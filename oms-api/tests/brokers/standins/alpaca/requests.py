"""Orders as clients send them. A refusal has Alpaca's status, code and words."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from tests.brokers.standins.alpaca.values import ZERO, AlpacaError, Asset, Order

_TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
_CRYPTO_TYPES = frozenset({"market", "limit", "stop_limit"})
_TIMES_IN_FORCE = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})
_CRYPTO_TIMES_IN_FORCE = frozenset({"gtc", "ioc"})
_PRICES = ("limit_price", "stop_price", "trail_price", "trail_percent")
MAX_CLIENT_ORDER_ID_LENGTH = 128


def build_order(
    body: Mapping[str, Any], asset: Asset, order_id: str, client_order_id: str, at: datetime
) -> Order:
    """Return the order of a request body. Raises AlpacaError."""
    prices: dict[str, Any] = {name: parse_amount(body, name) for name in _PRICES}
    order = Order(
        id=order_id,
        client_order_id=client_order_id,
        asset=asset,
        side=str(body.get("side")),
        type=str(body.get("type")),
        time_in_force=str(body.get("time_in_force")),
        at=at,
        created_at=at,
        qty=parse_amount(body, "qty"),
        notional=parse_amount(body, "notional"),
        extended_hours=bool(body.get("extended_hours")),
        **prices,
    )
    validate_order(order)
    return order


def parse_amount(body: Mapping[str, Any], name: str) -> Decimal | None:
    """Return a number, which may be a text. Raises AlpacaError if it is not one."""
    if body.get(name) is None:
        return None
    try:
        amount = Decimal(str(body[name]))
    except InvalidOperation:
        refuse(f"invalid {name}")
    if not amount.is_finite() or amount <= ZERO:
        refuse(f"{name} must be > 0")
    return amount


def validate_order(order: Order) -> None:
    """Raise AlpacaError if Alpaca refuses such an order."""
    if order.side not in {"buy", "sell"}:
        refuse("invalid side")
    if order.type not in (_CRYPTO_TYPES if order.asset.is_crypto else _TYPES):
        refuse(f"invalid order type for {order.asset.asset_class} order")
    if order.time_in_force not in (_CRYPTO_TIMES_IN_FORCE if order.asset.is_crypto else _TIMES_IN_FORCE):
        refuse(f"invalid {order.asset.asset_class} time_in_force")
    if (order.qty is None) == (order.notional is None):
        refuse("qty or notional is required")
    _validate_prices(order)
    if not order.asset.is_crypto:
        _validate_equity(order)


def _validate_prices(order: Order) -> None:
    required = {
        "limit": order.type in {"limit", "stop_limit"},
        "stop": order.type in {"stop", "stop_limit"},
    }
    for name, is_required in required.items():
        if (getattr(order, f"{name}_price") is not None) != is_required:
            refuse(f"{order.type} orders {'require' if is_required else 'must not have'} {name} price")
    has_one_trail = (order.trail_price is None) != (order.trail_percent is None)
    if (order.type == "trailing_stop") != has_one_trail:
        refuse("trailing_stop orders require either trail_price or trail_percent")


def _validate_equity(order: Order) -> None:
    for name in ("limit_price", "stop_price"):
        price = getattr(order, name)
        increment = Decimal("0.01") if price is not None and price >= 1 else Decimal("0.0001")
        if price is not None and price % increment:
            message = "sub-penny increment does not fulfill minimum pricing criteria"
            refuse(f"invalid {name} {price}. {message}", code=42210000)
    if order.notional is not None or (order.qty is not None and order.qty % 1):
        _validate_fraction(order)
    if order.extended_hours and (order.type != "limit" or order.time_in_force not in {"day", "gtc"}):
        refuse("extended hours order must be DAY or GTC limit orders", code=42210000)
    if order.time_in_force in {"opg", "cls"} and order.type not in {"market", "limit"}:
        refuse("auction orders must be market or limit orders", code=42210000)


def _validate_fraction(order: Order) -> None:
    if not order.asset.is_fractionable:
        refuse(f'asset "{order.asset.symbol}" is not fractionable', status=403, code=40310000)
    if order.time_in_force != "day":
        refuse("fractional orders must be DAY orders", code=42210000)
    if order.type == "trailing_stop":
        refuse("fractional orders cannot be trailing stop orders", code=42210000)


def refuse(message: str, *, status: int = 422, code: int = 40010001) -> NoReturn:
    raise AlpacaError(status, code, message)
