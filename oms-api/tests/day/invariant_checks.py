"""Compare the state of the service, read over REST, with the journal and a simple computation."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.day.clients import Client, Journal
from tests.day.random_requests import FOREIGN

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_UNIT = Decimal("0.00000001")
_OPENING_CASH = Decimal(1_000_000)
_BASE = "USD"  # of every portfolio
_FLAT = (Decimal(0),) * 3  # quantity, cost, realized
_SAMPLE = 100
_MADE_NO_ORDER = "/nothing-to-close"
FINAL = {"FILLED", "CANCELED", "EXPIRED", "REPLACED", "DENIED", "REJECTED"}

Row = dict[str, Any]
Corner = tuple[str, str]  # portfolio, symbol


def find_faults(client: Client, journal: Journal) -> list[str]:
    """Return the violated invariants."""
    orders = {order["id"]: order for order in _load_all(client, "/orders")}
    journal.stands.update(order["status"] for order in orders.values())
    trades = list(_load_all(client, "/trades"))
    faults = [f"unexpected: {response}" for response in journal.unexpected]
    faults += _check_journal(journal, orders)
    faults += _check_halts(journal)
    for order in orders.values():
        faults += [f"{order['id']}: {fault}" for fault in _check_order(order, orders)]
    faults += _check_fills(orders, trades)
    faults += _check_rates(trades, journal.rates)
    faults += _check_books(client, trades)
    return faults + _check_sample(client, orders)


def _load_all(client: Client, path: str, **conditions: str) -> Iterator[Row]:
    """Yield all rows of a list, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        query = "&".join(f"{name}={value}" for name, value in conditions.items())
        page = f"/api/v1{path}?limit=1000&{query}" + (f"&cursor={cursor}" if cursor else "")
        rows, link = client.page(page)
        yield from rows
        cursor = parse_qs(urlsplit(link).query)["cursor"][0] if link else None


def list_open_orders(client: Client) -> list[Row]:
    """Return the orders that are open."""
    return list(_load_all(client, "/orders", open="true"))


def _check_journal(journal: Journal, orders: dict[str, Row]) -> list[str]:
    orders_by_client_id = defaultdict(list)
    for order in orders.values():
        orders_by_client_id[order["client_order_id"]].append(order["id"])
    faults = [f"{name}: stands {len(ids)} times" for name, ids in orders_by_client_id.items() if len(ids) > 1]
    meant = set()
    for intent in journal.intents:
        if intent.kind in {"order", "pair"}:
            bodies = intent.body["orders"] if intent.kind == "pair" else [intent.body]
            meant |= {body["client_order_id"] for body in bodies}
        faults += _check_intent(intent, orders, orders_by_client_id)
    strangers = {name for name, ids in orders_by_client_id.items() if name not in ids} - meant
    return faults + [f"{name}: stands, and nobody asked for it" for name in strangers]


def _is_too_late(intent: Any) -> bool:
    """Tell whether a ticket with an end got through only after it: the service was dead in between."""
    return [error["field"] for error in intent.response.get("errors", ())] == ["expires_at"]


def _check_intent(
    intent: Any, orders: dict[str, Row], orders_by_client_id: dict[str, list[str]]
) -> list[str]:
    description = f"{intent.kind} {intent.path} {intent.status}"
    if intent.kind == "order" and intent.status == 422 and _is_too_late(intent):
        return (
            [f"{description}: too late, and it stands"]
            if intent.body["client_order_id"] in orders_by_client_id
            else []
        )
    if intent.status == 422 and not intent.response["type"].endswith(_MADE_NO_ORDER):
        denied = orders.get(intent.response.get("order_id", ""))
        return (
            []
            if denied and denied["status"] in {"DENIED", "CANCELED"}
            else [f"{description}: {intent.response}"]
        )
    if intent.kind in {"order", "pair"} and intent.status == 201:
        bodies = intent.body["orders"] if intent.kind == "pair" else [intent.body]
        responses = intent.response["orders"] if intent.kind == "pair" else [intent.response]
        pairs = zip(bodies, responses, strict=True)
        lost = [
            body for body, order in pairs if orders_by_client_id.get(body["client_order_id"]) != [order["id"]]
        ]
        return [f"{description}: acknowledged and lost: {body}" for body in lost]
    if intent.kind == "cancel" and intent.status == 200:
        stands = orders[intent.response["id"]]["status"]
        return [] if stands == "CANCELED" else [f"{description}: canceled, and stands as {stands}"]
    if intent.kind == "replace" and intent.status == 200:
        before = orders[intent.response["replaces"]]
        link = (before["status"], before["replaced_by"], intent.response["id"] in orders)
        return [] if link == ("REPLACED", intent.response["id"], True) else [f"{description}: {link}"]
    return []


def _check_halts(journal: Journal) -> list[str]:
    """Return a fault for each order that was accepted while an acknowledged HALTED was in force."""
    return [
        f"{intent.body} came through {halt}"
        for halt in journal.halts
        for intent in journal.intents
        if intent.status == 201 and halt.since < intent.sent_at and intent.told_at < halt.until
        if intent.kind in {"order", "pair"} and halt.is_for(intent.body)
    ]


def _check_order(order: Row, orders: dict[str, Row]) -> Iterator[str]:
    quantity, filled = Decimal(order["quantity"]), Decimal(order["filled_quantity"])
    if order["status"] not in FINAL:
        yield f"is still {order['status']}"
    if Decimal(order["leaves_quantity"]):
        yield f"is {order['status']} and leaves {order['leaves_quantity']}"
    if (order["status"] == "FILLED") != (filled >= quantity and filled > 0):
        yield f"is {order['status']} with {filled} of {quantity} filled"
    if order["status"] in {"DENIED", "REJECTED"} and filled:
        yield f"is {order['status']} and filled {filled}"
    if _list_carry(order, orders) > filled:
        yield "lost what its predecessor had filled"


def _list_carry(order: Row, orders: dict[str, Row]) -> Decimal:
    """Return the filled quantity of the order that this order replaced: 0 if the replacement was denied."""
    before = orders.get(order["replaces"] or "")
    return (
        Decimal(before["filled_quantity"]) if before and before["replaced_by"] == order["id"] else Decimal(0)
    )


def _check_fills(orders: dict[str, Row], trades: list[Row]) -> list[str]:
    """Compare filled quantities of orders with the ledger, by portfolio, symbol and side."""
    filled: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for order in orders.values():
        place = (order["portfolio_name"], order["symbol"], order["side"])
        filled[place] += Decimal(order["filled_quantity"]) - _list_carry(order, orders)
    for trade in trades:
        filled[trade["portfolio_name"], trade["symbol"], trade["side"]] -= Decimal(trade["quantity"])
    return [
        f"{place}: orders and trades differ by {difference}"
        for place, difference in filled.items()
        if difference
    ]


def _check_rates(trades: list[Row], quoted: dict[str, set[str]]) -> Iterator[str]:
    """Check that trades in another currency were booked at a rate that was quoted."""
    quoted_prices: dict[str | None, set[Decimal]] = {None: set()}
    for symbol, prices in quoted.items():
        first, second = symbol.split("/")
        rates = {Decimal(price) for price in prices}
        is_inverse = first == _BASE
        quoted_prices[second if is_inverse else first] = (
            {_round_amount(1 / rate) for rate in rates} if is_inverse else rates
        )
    for trade in trades:
        currency, rate = trade["currency"], trade["fx_rate"]
        if currency != FOREIGN.get(trade["symbol"]):
            yield f"{trade['trade_id']}: {trade['symbol']} in {currency}"
        elif rate is not None and Decimal(rate) not in quoted_prices[currency]:
            yield f"{trade['trade_id']}: {currency} at {rate}, which nobody quoted"


def _check_books(client: Client, trades: list[Row]) -> list[str]:
    positions, cash = recompute_books(trades)
    amounts = {
        (row["portfolio_name"], row["symbol"]): tuple(
            map(Decimal, (row["quantity"], row["cost"], row["realized_pnl"], row["local_cost"] or 0))
        )
        for row in _load_all(client, "/positions", include_closed="true")
    }
    faults = [
        f"{corner}: holds {amounts.get(corner)}, its fills make {positions.get(corner)}"
        for corner in positions.keys() | amounts.keys()
        if positions.get(corner) != amounts.get(corner)
    ]
    stands = {
        row["portfolio_name"]: Decimal(row["cash"]) for row in _load_all(client, "/portfolios", detail="true")
    }
    true = {name: _OPENING_CASH + cash[name] for name in stands}
    return faults + [
        f"{name}: cash {stands[name]}, its fills make {true[name]}"
        for name in true
        if stands[name] != true[name]
    ]


def recompute_books(trades: list[Row]) -> tuple[dict[Corner, tuple[Decimal, ...]], dict[str, Decimal]]:
    """Return the positions and each portfolio's change of cash that result from the trades.

    A position is quantity, cost, realized P&L and local cost, by portfolio and symbol. Costs are average
    costs, computed from the fills in the obvious way.
    """
    positions: dict[Corner, tuple[Decimal, ...]] = {}
    local: dict[Corner, tuple[Decimal, ...]] = {}
    cash: dict[str, Decimal] = defaultdict(Decimal)
    for trade in sorted(trades, key=lambda row: (row["portfolio_name"], row["sequence"])):
        corner = (trade["portfolio_name"], trade["symbol"])
        sign = 1 if trade["side"] == "BUY" else -1
        fill, value = sign * Decimal(trade["quantity"]), sign * _compute_value(trade)
        positions[corner] = _compute_after(positions.get(corner, _FLAT), fill, value)
        if trade.get("fx_rate") is not None:
            local[corner] = _compute_after(local.get(corner, _FLAT), fill, sign * Decimal(trade["gmv"]))
        cash[trade["portfolio_name"]] -= value
    return {corner: (*positions[corner], local.get(corner, _FLAT)[1]) for corner in positions}, cash


def _compute_value(trade: Row) -> Decimal:
    """Return a trade's value in its portfolio's currency."""
    gmv = Decimal(trade["gmv"])
    rate = trade.get("fx_rate")
    return gmv if rate is None else _round_amount(_EXACT.multiply(gmv, Decimal(rate)))


def _compute_after(before: tuple[Decimal, ...], fill: Decimal, value: Decimal) -> tuple[Decimal, ...]:
    quantity, cost, realized = before
    if quantity * fill >= 0:
        return quantity + fill, cost + value, realized
    closed = min(abs(quantity), abs(fill))
    released = _round_amount(cost * closed / abs(quantity)) if closed < abs(quantity) else cost
    closing = _round_amount(_EXACT.divide(value * closed, abs(fill)))
    return quantity + fill, cost - released + value - closing, realized - closing - released


def _round_amount(amount: Decimal) -> Decimal:
    return amount.quantize(_UNIT, context=_EXACT)


def _check_sample(client: Client, orders: dict[str, Row]) -> list[str]:
    """Check a sample of orders: their histories lead to their present state, their fills add up."""
    faults = []
    for order_id in client.random.sample(sorted(orders), min(_SAMPLE, len(orders))):
        order = client.send("read", "GET", f"/api/v1/orders/{order_id}").response
        own = (Decimal(fill["quantity"]) for fill in order["fills"])
        filled = sum(own, _list_carry(order, orders))
        if filled != Decimal(order["filled_quantity"]):
            faults.append(f"{order_id}: fills add up to {filled}, it says {order['filled_quantity']}")
        moves = [event["to_status"] for event in order["events"]]
        if moves[0] != "INITIALIZED" or moves[-1] != order["status"]:
            faults.append(f"{order_id}: is {order['status']}, its history is {moves}")
    return faults
