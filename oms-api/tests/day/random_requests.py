"""Random requests of a simulated day: tickets of every type and time in force, groups and changes."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

PORTFOLIOS = [f"Desk {number:02d}" for number in range(40)]
SYMBOLS = [f"SYM{number:02d}" for number in range(24)]
# Symbols in other currencies than the portfolios' dollars, and the currency pairs of their rates.
FOREIGN = {"SYM20": "INR", "SYM21": "JPY", "SYM22": "INR", "SYM23": "XAG"}
PAIRS = {"USD/INR": 8_350, "USD/JPY": 15_000, "XAG/USD": 3_000}
STRATEGIES = (None, None, None, "Momentum", "Pairs")
TYPES = (
    "MARKET",
    "MARKET",
    "MARKET",
    "LIMIT",
    "LIMIT",
    "LIMIT",
    "STOP",
    "SL",
    "TRAILING_STOP",
    "NOTIONAL",
    "BRACKET",
)
_TIMES = {
    "MARKET": ("DAY", "DAY", "DAY", "GTC", "GTD", "IOC", "FOK"),
    "LIMIT": ("DAY", "GTC", "GTC", "GTD", "IOC", "FOK"),
    "STOP": ("DAY", "GTC", "GTD", "IOC"),
}

Prices = dict[str, int]  # last prices by symbol, in cents
Body = dict[str, Any]


def create_opening_prices() -> Prices:
    """Return where the day begins."""
    return {symbol: 5_000 + 700 * number for number, symbol in enumerate(SYMBOLS)} | PAIRS


def get_terms(currency: str) -> Body:
    """Return the listing terms of a symbol that is traded in that currency."""
    return {"tick_size": "0.01", "lot_size": "0.5", "currency": currency}


def make_quote(random: Random, prices: Prices, symbol: str) -> Body:
    """Move a symbol by up to half a percent and return its new quote, some with sizes."""
    last = prices[symbol] = max(1_000, round(prices[symbol] * random.uniform(0.995, 1.005)))
    sizes = [str(random.randint(1, 30)) if random.random() < 0.2 else None for _ in range(2)]
    return _get_quoted_price(last, *sizes)


def build_jumped_quote(price: int, percent: int) -> Body:
    """Return the quote of a symbol that jumped by so many percent."""
    return _get_quoted_price(price * (100 + percent) // 100, None, None)


def make_ticket(random: Random, prices: Prices, name: str) -> Body:
    """Return a ticket; `name` is its client order id."""
    kind, symbol = random.choice(TYPES), random.choice(SYMBOLS)
    side, price = random.choice(("BUY", "SELL")), prices[symbol]
    body = {
        "portfolio_name": random.choice(PORTFOLIOS), "symbol": symbol, "side": side, "client_order_id": name,
        "strategy": random.choice(STRATEGIES), "quantity": random.choice(("1", "2", "5", "10", "0.5")),
    }  # fmt: skip
    body |= _build_terms(random, kind, 1 if side == "BUY" else -1, price)
    if kind == "NOTIONAL":
        del body["quantity"]
    if body["time_in_force"] == "GTD":
        body["expires_at"] = _build_soon(random)
    return body


def make_pair(random: Random, prices: Prices, name: str) -> Body:
    """Return two joined orders: an exit at a profit or a loss (OCO), or an order and its follower (OTO)."""
    base = {"portfolio_name": random.choice(PORTFOLIOS), "symbol": random.choice(SYMBOLS), "quantity": "2"}
    price = prices[base["symbol"]]
    if random.random() < 0.5:
        target = {"side": "SELL", "type": "LIMIT", "limit_price": _choose_near_price(random, price, 0, 2)}
        stop = {"side": "SELL", "type": "STOP", "stop_price": _choose_near_price(random, price, -2, 0)}
        orders, kind = [target, stop], "OCO"
    else:
        first = {"side": "BUY", "type": "LIMIT", "limit_price": _choose_near_price(random, price, -1, 1)}
        orders, kind = [first, {"side": "SELL", "type": "TRAILING_STOP", "trail_percent": "1"}], "OTO"
    named_orders = [
        base | order | {"client_order_id": f"{name}.{place}"} for place, order in enumerate(orders)
    ]
    return {"kind": kind, "orders": [order | {"time_in_force": "GTC"} for order in named_orders]}


def make_change(random: Random, order: Body) -> Body:
    """Return a replacement of an order: another quantity, and sometimes another limit price."""
    changes: Body = {"quantity": random.choice(("1", "3", "7"))}
    if order.get("limit_price") and random.random() < 0.7:
        cents = round(float(order["limit_price"]) * 100)
        changes["limit_price"] = _choose_near_price(random, cents, -1, 1)
    return changes


def _build_terms(random: Random, kind: str, sign: int, price: int) -> Body:
    times = _TIMES.get(kind, _TIMES["STOP"])
    terms: Body = {"type": kind, "time_in_force": random.choice(times)}
    if kind == "LIMIT":
        terms["limit_price"] = _choose_near_price(random, price, -2 * sign, sign)
    elif kind == "STOP":
        terms["stop_price"] = _choose_near_price(random, price, 0, 2 * sign)
    elif kind == "SL":
        terms |= {
            "stop_price": _choose_near_price(random, price, 0, sign),
            "limit_price": _choose_near_price(random, price, sign, 3 * sign),
        }
    elif kind == "TRAILING_STOP":
        terms |= random.choice(({"trail_percent": "0.5"}, {"trail_amount": "1.25"}))
    elif kind == "NOTIONAL":
        terms |= {"type": "MARKET", "time_in_force": "DAY", "notional": str(random.randint(100, 1500))}
    elif kind == "BRACKET":
        entry = price - sign * price // 200
        terms |= {"type": "LIMIT", "time_in_force": "GTC", "limit_price": _build_text(entry)}
        terms["take_profit"] = {"limit_price": _choose_near_price(random, entry, sign, 2 * sign)}
        terms["stop_loss"] = {"stop_price": _choose_near_price(random, entry, -2 * sign, -sign)}
    return terms


def _choose_near_price(random: Random, cents: int, low: int, high: int) -> str:
    """Return a price between `low` and `high` percent away, as text."""
    return _build_text(max(1, round(cents * (1 + random.uniform(low, high) / 100))))


def _get_quoted_price(last: int, bid_size: str | None, ask_size: str | None) -> Body:
    half = max(1, last // 2000)
    return {
        "bid": _build_text(last - half), "ask": _build_text(last + half), "last": _build_text(last),
        "bid_size": bid_size, "ask_size": ask_size,
    }  # fmt: skip


def _build_text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _build_soon(random: Random) -> str:
    return (datetime.now(UTC) + timedelta(seconds=random.uniform(0.5, 15))).isoformat()
