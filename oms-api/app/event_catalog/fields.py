"""The fields of the data of events, as JSON schemas."""

from typing import Any

Schema = dict[str, Any]
_AT = "2026-11-20T15:04:05.123456Z"
_AMOUNT = r"^-?[0-9]+(\.[0-9]{1,8})?$"
_PERSON = "slack:T024BE7LD:U061F7AUR"
_UNCONFIRMED = {
    "order_id": "O17952423050000000c1937aec",
    "portfolio_name": "Growth",
    "broker": "alpaca",
    "symbol": "AAPL",
    "side": "BUY",
    "leaves": "100",
}


def _text(description: str, example: str) -> Schema:
    return {"type": "string", "description": description, "examples": [example]}


def _amount(description: str, example: str) -> Schema:
    return {**_text(description, example), "pattern": _AMOUNT}


def _instant(description: str, example: str = _AT) -> Schema:
    return {**_text(description, example), "format": "date-time"}


def _integer(description: str, example: int) -> Schema:
    return {"type": "integer", "description": description, "examples": [example]}


def _flag(description: str, *, example: bool) -> Schema:
    return {"type": "boolean", "description": description, "examples": [example]}


def _object(description: str, example: Any) -> Schema:  # a JSON object
    return {"type": "object", "description": description, "examples": [example]}


def _texts(description: str, example: str) -> Schema:
    items = {"type": "string"}
    return {"type": "array", "items": items, "description": description, "examples": [[example]]}


def _or_null(schema: Schema) -> Schema:
    """Return the schema of values that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


# By name. A name means the same in every event, but for those of `SPECIAL`.
FIELDS: dict[str, Schema] = {
    "above": _or_null(_amount("Fires at this value or above; null: see `below`", "200.00")),
    "action": _text("What resolved the issue, or `watch`", "adopt"),
    "actor": _text("Who caused it", _PERSON),
    "alert_id": _text("ID of the alert", "A17952423050000000c1937aec"),
    "amount": _amount("Signed like its effect on the cash", "50000.00"),
    "approvers": _texts("Roles and persons who may approve or reject it", "role:risk"),
    "at": _or_null(_instant("When the value was reached")),
    "average_price": _amount("Of all fills so far", "270.51"),
    "backtest_id": _text("ID of the backtest", "B17952423050000000c1937aec"),
    "balance": _amount("Cash after the row", "1050000.00"),
    "below": _or_null(_amount("Fires at this value or below; null: see `above`", "50.00")),
    "breaks": _integer("Number of things that were open when a day was signed off", 2),
    "broker": _text("Where the order is sent", "paper"),
    "broker_reason": _text("The broker's message", "insufficient margin"),
    "broker_words": _text("Former name of `broker_reason`, for one release", "insufficient margin"),
    "chain": _text("Which hash chain: `audit`, `ledger` (trades) or `cash` (cash movements)", "ledger"),
    "channel": _text("How a signal arrived: `rest`, `hook` or `redis`", "rest"),
    "charges": _amount("Charges in the portfolio's currency", "1.00"),
    "client_order_id": _text("The client's ID of the order", "mine-1"),
    "closed_at": _instant("The close"),
    "code": _text("Code of the limit or the denial", "MAX_ORDER_VALUE"),
    "connection": _text("Name of the broker connection", "zerodha"),
    "cost": _amount("Cost of the position, signed like its quantity", "1750.00"),
    "cost_schedule": _text("Schedule that charges its fills", "zerodha"),
    "counterpart_id": _integer("ID of the other portfolio of a transfer", 4713),
    "currency": _text("ISO 4217 code", "USD"),
    "date": _text("Date of the P&L day", "2026-11-20"),
    "day": _text("Day that the movement is for", "2026-11-20"),
    "day_pnl": _amount("P&L since the close before", "198.00"),
    "decided_by": _text("Who decided", _PERSON),
    "deliver_to": _text("`me` or the ID of a Slack channel", "me"),
    "denial": _object("The denial with its numbers", {"code": "MAX_ORDER_VALUE", "limit": "1000"}),
    "digest": _text("SHA-256 of all rows of a day, as hexadecimal digits", "5f" * 32),
    "ends_at": _instant("When it ends by itself"),
    "equity": _amount("Cash plus market value", "1000198.00"),
    "estimate": _object("What the order would do", {"value": "1750.00"}),
    "execution_id": _text("ID of the fill", "O17952423050000000c1937aec:0"),
    "executions": _integer("Executions that were counted", 5),
    "compared_fills": _integer("Fills that were compared", 40),
    "compared_orders": _integer("Orders that were compared", 41),
    "differences": _integer("Number of differences", 1),
    "error": _or_null(_text("Why it failed; null: it did not fail", "There are no bars of these symbols")),
    "executed_at": _instant("Time of the execution, in UTC"),
    "expires_at": _instant("When it expires"),
    "extended_hours": _flag("Whether it may fill outside regular hours", example=True),
    "file_format": _text("csv or xlsx", "csv"),
    "filled_quantity": _amount("Units that filled so far", "10"),
    "firing": _integer("Counts the firings of the alert from 1", 1),
    "fx_rate": _amount("The portfolio's currency per unit of `currency`", "83.50"),
    "gmv": _amount("Gross market value: quantity × price", "1750.00"),
    "gross_exposure": _amount("Market values without their signs", "1750.00"),
    "group_id": _text("ID of the group", "G17952423050000000c1937aec"),
    "group_kind": _text("BRACKET, OCO or OTO", "OCO"),
    "issue_id": _text("ID of the issue", "ri_0123456789abcdef01234567"),
    "issue_type": _text("Type of the difference", "quantity_mismatch"),
    "kind": _text("Kind of the object", "trade"),
    "last_price": _amount("Price of the fill", "270.51"),
    "last_quantity": _amount("Units of the fill", "10"),
    "last_error": _or_null(_text("Why the strategy failed, with file and line", "ValueError: no data")),
    "last_heard_at": _or_null(_instant("When the price feed was heard last; null: its prices never age")),
    "latch_id": _text("ID of the latch", "L17952360655300000c5d8cbe8"),
    "latency_ms": _integer("Milliseconds from the arrival of a signal to its outcome", 12),
    "leaves_quantity": _amount("Units that can still fill", "0"),
    "limit_price": _amount("Limit price", "170.00"),
    "max_silence_seconds": {
        "type": "number",
        "description": "Seconds of silence after which the feed is stale",
        "examples": [30.0],
    },
    "max_move_percent": _amount("How far the price may move until the decision", "1"),
    "mode": _text("What happens to the signals of a strategy", "trade"),
    "most": _integer("Executions that are allowed", 4),
    "name": _or_null(_text("Name of what the scope selects; null: the whole tenant", "Growth")),
    "net_exposure": _amount("Market values with their signs", "1750.00"),
    "note": _text("Free text of the order", "Hedge"),
    "notional": _amount("Amount that the order is for", "5000.00"),
    "opens_at": _or_null(_instant("When the market opens; null: not known")),
    "order_id": _text("ID of the order", "O17952423050000000c1937aec"),
    "orders": {
        "type": "array",
        "items": _object("An order", _UNCONFIRMED),
        "description": "Orders that their brokers have not canceled yet; `leaves` can still fill",
        "examples": [[_UNCONFIRMED]],
    },
    "order_ids": _texts("IDs of the orders", "O17952423050000000c1937aec"),
    "override_of": _or_null(_text("ID of the denied order; null: no override", "O17952423040000000c1937aec")),
    "ours": _text("Our figure", "100"),
    "owned_by": _text("Who takes care of the issue", _PERSON),
    "owner": _text("Who created the alert", _PERSON),
    "parent_id": _text("ID of the parent order", "O17952423040000000c1937aec"),
    "period_end": _instant("First instant after the period", "2026-11-21T00:00:00.000000Z"),
    "period_start": _instant("First instant of the period", "2026-11-20T00:00:00.000000Z"),
    "portfolio_id": _integer("ID of the portfolio", 4712),
    "portfolio_name": _text("Name of the portfolio", "Growth"),
    "portfolios": _integer("Number of portfolios with figures of the day", 4),
    "price": _amount("Price per unit, in the instrument's currency", "175.00"),
    "price_source": _text("Name of the price feed", "simulated"),
    "price_seen": _or_null(_amount("The price at the request", "175.00")),
    "product": _text("Product; empty: none", "CNC"),
    "proposed_action": _text("What would resolve the issue", "adopt"),
    "quantity": _amount("Units, of a position with sign", "10"),
    "realized_pnl": _amount("Realized P&L before charges", "120.00"),
    "reason": _or_null(_text("Why", "Bad prices")),
    "received_at": _instant("When a signal arrived"),
    "released_by": _text("Who released the latch", _PERSON),
    "repeat": _flag("Whether it fires at each crossing", example=False),
    "replaced_by": _text("ID of the order that replaced it", "O17952423060000000c1937aec"),
    "replaces": _text("ID of the order that it replaced", "O17952423040000000c1937aec"),
    "result_hash": _or_null(_text("Hash of orders, fills and equity; null: it failed", "9f86d081…")),
    "report": _text("Name of the export: pnl, trades or risk", "pnl"),
    "requested_by": _text("Who placed the order", _PERSON),
    "resolved_by": _text("Who resolved the issue", "reconciliation"),
    "role": _text("Role in the group", "take_profit"),
    "rule": _text("Rule that requires the approval", "above_value"),
    "scope": _text("What it applies to", "portfolio"),
    "since": _instant("When it began"),
    "sequence": _integer("Its number, without gaps", 4),
    "run": _integer("Number of starts of the strategy", 3),
    "session_expires_at": _or_null(_instant("When the broker's session ends; null: there is none")),
    "set_by": _text("Who set it", _PERSON),
    "severity": _text("How bad it is: info, warning or critical", "critical"),
    "side": _text("BUY or SELL", "BUY"),
    "signal_id": _text("ID of the signal", "breakout-1"),
    "source": _text("Name of the key", "bootstrap"),
    "state": _text("ACTIVE, REDUCING or HALTED", "HALTED"),
    "signed_by": _text("Person who signed it off", _PERSON),
    "status": _text("Status after the transition", "FILLED"),
    "stop_price": _amount("Stop price", "160.00"),
    "strategy": _text("Strategy of the order", "momentum"),
    "symbol": _text("Symbol of the instrument", "AAPL"),
    "theirs": _text("The broker's figure", "90"),
    "time_in_force": _text("How long the order remains open", "DAY"),
    "trade_id": _text("ID of the trade", "T17952423050000000b1f2c3d4"),
    "trades": _integer("Number of trades, without reversals", 12),
    "trail_amount": _amount("Distance of a trailing stop", "2.00"),
    "trail_level": _amount("The stop that the trail has come to", "168.00"),
    "trail_percent": _amount("Distance of a trailing stop in percent", "2"),
    "type": _text("Type of the order", "MARKET"),
    "unrealized_pnl": _amount("Market value less cost", "12.00"),
    "user_id": _text("Person that the order is for", "U123"),
    "value": _or_null(_amount("The value at which it fired", "200.05")),
    "volume": _amount("Sum of the trades' market values", "52000.00"),
    "webhook_id": _text("ID of the webhook", "W17952423050000000c1937aec"),
    "version": _integer("Version of the strategy", 2),
    "waived": _or_null(_text("The limit that the override waives; null: no override", "MAX_ORDER_VALUE")),
}
_LIMIT_VALUE = _or_null(_object("The limit; null: not set", {"value": "1000.00000000", "until": None}))
SPECIAL: dict[tuple[str, str], Schema] = {  # by the first part of the type and the field
    ("limit", "before"): _LIMIT_VALUE,
    ("limit", "after"): _LIMIT_VALUE,
    ("order", "charges"): _object("Charges of the fill", {"total": "1.00", "commission": "1.00"}),
    ("order", "expires_at"): _or_null(_instant("When it expires, as the ticket said")),
    ("broker", "broker"): _text("The broker", "alpaca"),
    ("broker", "status"): _text("connected, down or refused", "down"),
    ("reconciliation", "status"): _text("open or resolved", "open"),
    ("chain", "reason"): _text("What is wrong with the row", "row 4 is missing"),
    ("chain", "sequence"): _integer("Number of the first row that is wrong", 4),
    ("report", "date"): _text("Day of the report, in UTC", "2026-11-20"),
    ("backtest", "status"): _text("done or failed", "done"),
    ("backtest", "strategy"): _text("Strategy, as the request named it", "trend"),
    ("strategy", "name"): _text("Name of the strategy", "trend"),
    ("strategy", "status"): _text("INACTIVE, ACTIVE, PAUSED or ERROR", "PAUSED"),
    ("signal", "side"): _or_null(FIELDS["side"]),
    ("signal", "strategy"): _or_null(FIELDS["strategy"]),
    ("alert", "symbol"): _or_null(FIELDS["symbol"]),
    ("alert", "portfolio_name"): _or_null(FIELDS["portfolio_name"]),
}


def find_field(family: str, name: str) -> Schema:
    """Return the schema of a field in the events of a family, such as "order"."""
    return SPECIAL.get((family, name)) or FIELDS[name]
