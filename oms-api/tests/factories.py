"""Builders of valid request bodies, rows and commands, with changes of a test."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.ledger.rules.accounting import Fill, Side
from app.ledger.rules.chain import HASH_VERSION, TradeRow

JWT_KEYS = "test:" + "j" * 32
BOOTSTRAP_KEY = "test-bootstrap-key-0123456789abcdef"
STATEMENT_SECRET = "s" * 40
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def build_trade_body(**changes: Any) -> dict[str, Any]:
    """Return the body of a trade; a change to None leaves the field out."""
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    body |= changes
    return {name: value for name, value in body.items() if value is not None}


def build_ticket_body(**changes: Any) -> dict[str, Any]:
    """Return the ticket of a market order; a change to None leaves the field out."""
    body = {"symbol": "AAPL", "quantity": "10", "side": "BUY", "type": "MARKET", "portfolio_name": "Growth"}
    body |= changes
    return {name: value for name, value in body.items() if value is not None}


def build_buy(quantity: str, price: str) -> Fill:
    """Return a purchase at a price per unit."""
    return Fill(Side.BUY, Decimal(quantity), Decimal(quantity) * Decimal(price))


def build_sell(quantity: str, price: str) -> Fill:
    """Return a sale at a price per unit."""
    return Fill(Side.SELL, Decimal(quantity), Decimal(quantity) * Decimal(price))


def build_trade_row(**changes: Any) -> TradeRow:
    """Return a row of the ledger in canonical form, its hash not computed."""
    amounts = dict.fromkeys(
        ("charges", "realized_pnl", "position_realized_pnl", "portfolio_realized_pnl"), "0.00000000"
    )
    fields: dict[str, Any] = {
        "tenant_id": 1,
        "trade_id": "T17636400000000000a1b2c3d4",
        "portfolio_id": 7,
        "sequence": 1,
        "kind": "trade",
        "symbol": "AAPL",
        "product": "",
        "side": "BUY",
        "quantity": "100.00000000",
        "price": "175.00000000",
        "gmv": "17500.00000000",
        "user_id": "U1",
        "source": "bootstrap",
        "order_id": None,
        "note": None,
        "idempotency_key": None,
        "request_hash": None,
        "reverses": None,
        "executed_at": "2026-11-20T12:00:00.000000Z",
        "created_at": "2026-11-20T12:00:00.000000Z",
        "quantity_delta": "100.00000000",
        "cost_delta": "17500.00000000",
        "cash_delta": "-17500.00000000",
        "position_quantity": "100.00000000",
        "position_cost": "17500.00000000",
        "trades_after": 1,
        "buys_after": 1,
        "cash_after": "982500.00000000",
        "actor": None,
        "request_id": None,
        "currency": None,
        "fx_rate": None,
        "local_cost_delta": None,
        "position_local_cost": None,
        "backdated_reason": None,
        "hash_version": HASH_VERSION,
        "hash": "",
    }
    return TradeRow(**(fields | amounts | changes))
