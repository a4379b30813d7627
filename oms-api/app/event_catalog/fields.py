"""The fields of the data of events, as JSON schemas."""

from typing import Any

JsonSchema = dict[str, Any]
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


def _build_text_schema(description: str, example: str) -> JsonSchema:
    return {"type": "string", "description": description, "examples": [example]}


def _build_amount_schema(description: str, example: str) -> JsonSchema:
    return {**_build_text_schema(description, example), "pattern": _AMOUNT}


def _build_instant_schema(description: str, example: str = _AT) -> JsonSchema:
    return {**_build_text_schema(description, example), "format": "date-time"}


def _build_integer_schema(description: str, example: int) -> JsonSchema:
    return {"type": "integer", "description": description, "examples": [example]}


def _build_flag_schema(description: str, *, example: bool) -> JsonSchema:
    return {"type": "boolean", "description": description, "examples": [example]}


def _build_object_schema(description: str, example: Any) -> JsonSchema:  # a JSON object
    return {"type": "object", "description": description, "examples": [example]}


def _build_texts_schema(description: str, example: str) -> JsonSchema:
    items = {"type": "string"}
    return {"type": "array", "items": items, "description": description, "examples": [[example]]}


def _allow_null(schema: JsonSchema) -> JsonSchema:
    """Return the schema of values that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


# By name. A name means the same in every event, but for those of `SPECIAL`.
FIELDS: dict[str, JsonSchema] = {
    "above": _allow_null(_build_amount_schema("Fires at this value or above; null: see `below`", "200.00")),
    "action": _build_text_schema("What resolved the issue, or `watch`", "adopt"),
    "actor": _build_text_schema("Who caused it", _PERSON),
    "alert_id": _build_text_schema("ID of the alert", "A17952423050000000c1937aec"),
    "amount": _build_amount_schema("Signed like its effect on the cash", "50000.00"),
    "approvers": _build_texts_schema("Roles and persons who may approve or reject it", "role:risk"),
    "at": _allow_null(_build_instant_schema("When the value was reached")),
    "average_price": _build_amount_schema("Of all fills so far", "270.51"),
    "backtest_id": _build_text_schema("ID of the backtest", "B17952423050000000c1937aec"),
    "balance": _build_amount_schema("Cash after the row", "1050000.00"),
    "below": _allow_null(_build_amount_schema("Fires at this value or below; null: see `above`", "50.00")),
    "breaks": _build_integer_schema("Number of things that were open when a day was signed off", 2),
    "broker": _build_text_schema("Where the order is sent", "paper"),
    "broker_reason": _build_text_schema("The broker's message", "insufficient margin"),
    "broker_words": _build_text_schema(
        "Former name of `broker_reason`, for one release", "insufficient margin"
    ),
    "chain": _build_text_schema(
        "Which hash chain: `audit`, `ledger` (trades) or `cash` (cash movements)", "ledger"
    ),
    "channel": _build_text_schema("How a signal arrived: `rest`, `hook` or `redis`", "rest"),
    "charges": _build_amount_schema("Charges in the portfolio's currency", "1.00"),
    "client_order_id": _build_text_schema("The client's ID of the order", "mine-1"),
    "closed_at": _build_instant_schema("The close"),
    "code": _build_text_schema("Code of the limit or the denial", "MAX_ORDER_VALUE"),
    "connection": _build_text_schema("Name of the broker connection", "zerodha"),
    "cost": _build_amount_schema("Cost of the position, signed like its quantity", "1750.00"),
    "cost_schedule": _build_text_schema("Schedule that charges its fills", "zerodha"),
    "counterpart_id": _build_integer_schema("ID of the other portfolio of a transfer", 4713),
    "currency": _build_text_schema("ISO 4217 code", "USD"),
    "date": _build_text_schema("Date of the P&L day", "2026-11-20"),
    "day": _build_text_schema("Day that the movement is for", "2026-11-20"),
    "day_pnl": _build_amount_schema("P&L since the close before", "198.00"),
    "decided_by": _build_text_schema("Who decided", _PERSON),
    "deliver_to": _build_text_schema("`me` or the ID of a Slack channel", "me"),
    "denial": _build_object_schema(
        "The denial with its numbers", {"code": "MAX_ORDER_VALUE", "limit": "1000"}
    ),
    "digest": _build_text_schema("SHA-256 of all rows of a day, as hexadecimal digits", "5f" * 32),
    "ends_at": _build_instant_schema("When it ends by itself"),
    "equity": _build_amount_schema("Cash plus market value", "1000198.00"),
    "estimate": _build_object_schema("What the order would do", {"value": "1750.00"}),
    "execution_id": _build_text_schema("ID of the fill", "O17952423050000000c1937aec:0"),
    "executions": _build_integer_schema("Executions that were counted", 5),
    "compared_fills": _build_integer_schema("Fills that were compared", 40),
    "compared_orders": _build_integer_schema("Orders that were compared", 41),
    "differences": _build_integer_schema("Number of differences", 1),
    "error": _allow_null(
        _build_text_schema("Why it failed; null: it did not fail", "There are no bars of these symbols")
    ),
    "executed_at": _build_instant_schema("Time of the execution, in UTC"),
    "expires_at": _build_instant_schema("When it expires"),
    "extended_hours": _build_flag_schema("Whether it may fill outside regular hours", example=True),
    "file_format": _build_text_schema("csv or xlsx", "csv"),
    "filled_quantity": _build_amount_schema("Units that filled so far", "10"),
    "firing": _build_integer_schema("Counts the firings of the alert from 1", 1),
    "fx_rate": _build_amount_schema("The portfolio's currency per unit of `currency`", "83.50"),
    "gmv": _build_amount_schema("Gross market value: quantity × price", "1750.00"),
    "gross_exposure": _build_amount_schema("Market values without their signs", "1750.00"),
    "group_id": _build_text_schema("ID of the group", "G17952423050000000c1937aec"),
    "group_kind": _build_text_schema("BRACKET, OCO or OTO", "OCO"),
    "issue_id": _build_text_schema("ID of the issue", "ri_0123456789abcdef01234567"),
    "issue_type": _build_text_schema("Type of the difference", "quantity_mismatch"),
    "kind": _build_text_schema("Kind of the object", "trade"),
    "last_price": _build_amount_schema("Price of the fill", "270.51"),
    "last_quantity": _build_amount_schema("Units of the fill", "10"),
    "last_error": _allow_null(
        _build_text_schema("Why the strategy failed, with file and line", "ValueError: no data")
    ),
    "last_heard_at": _allow_null(
        _build_instant_schema("When the price feed was heard last; null: its prices never age")
    ),
    "latch_id": _build_text_schema("ID of the latch", "L17952360655300000c5d8cbe8"),
    "latency_ms": _build_integer_schema("Milliseconds from the arrival of a signal to its outcome", 12),
    "leaves_quantity": _build_amount_schema("Units that can still fill", "0"),
    "limit_price": _build_amount_schema("Limit price", "170.00"),
    "max_silence_seconds": {
        "type": "number",
        "description": "Seconds of silence after which the feed is stale",
        "examples": [30.0],
    },
    "max_move_percent": _build_amount_schema("How far the price may move until the decision", "1"),
    "mode": _build_text_schema("What happens to the signals of a strategy", "trade"),
    "most": _build_integer_schema("Executions that are allowed", 4),
    "name": _allow_null(
        _build_text_schema("Name of what the scope selects; null: the whole tenant", "Growth")
    ),
    "net_exposure": _build_amount_schema("Market values with their signs", "1750.00"),
    "note": _build_text_schema("Free text of the order", "Hedge"),
    "notional": _build_amount_schema("Amount that the order is for", "5000.00"),
    "opens_at": _allow_null(_build_instant_schema("When the market opens; null: not known")),
    "order_id": _build_text_schema("ID of the order", "O17952423050000000c1937aec"),
    "orders": {
        "type": "array",
        "items": _build_object_schema("An order", _UNCONFIRMED),
        "description": "Orders that their brokers have not canceled yet; `leaves` can still fill",
        "examples": [[_UNCONFIRMED]],
    },
    "order_ids": _build_texts_schema("IDs of the orders", "O17952423050000000c1937aec"),
    "override_of": _allow_null(
        _build_text_schema("ID of the denied order; null: no override", "O17952423040000000c1937aec")
    ),
    "ours": _build_text_schema("Our figure", "100"),
    "owned_by": _build_text_schema("Who takes care of the issue", _PERSON),
    "owner": _build_text_schema("Who created the alert", _PERSON),
    "parent_id": _build_text_schema("ID of the parent order", "O17952423040000000c1937aec"),
    "period_end": _build_instant_schema("First instant after the period", "2026-11-21T00:00:00.000000Z"),
    "period_start": _build_instant_schema("First instant of the period", "2026-11-20T00:00:00.000000Z"),
    "portfolio_id": _build_integer_schema("ID of the portfolio", 4712),
    "portfolio_name": _build_text_schema("Name of the portfolio", "Growth"),
    "portfolios": _build_integer_schema("Number of portfolios with figures of the day", 4),
    "price": _build_amount_schema("Price per unit, in the instrument's currency", "175.00"),
    "price_source": _build_text_schema("Name of the price feed", "simulated"),
    "price_seen": _allow_null(_build_amount_schema("The price at the request", "175.00")),
    "product": _build_text_schema("Product; empty: none", "CNC"),
    "proposed_action": _build_text_schema("What would resolve the issue", "adopt"),
    "quantity": _build_amount_schema("Units, of a position with sign", "10"),
    "realized_pnl": _build_amount_schema("Realized P&L before charges", "120.00"),
    "reason": _allow_null(_build_text_schema("Why", "Bad prices")),
    "received_at": _build_instant_schema("When a signal arrived"),
    "released_by": _build_text_schema("Who released the latch", _PERSON),
    "repeat": _build_flag_schema("Whether it fires at each crossing", example=False),
    "replaced_by": _build_text_schema("ID of the order that replaced it", "O17952423060000000c1937aec"),
    "replaces": _build_text_schema("ID of the order that it replaced", "O17952423040000000c1937aec"),
    "result_hash": _allow_null(
        _build_text_schema("Hash of orders, fills and equity; null: it failed", "9f86d081…")
    ),
    "report": _build_text_schema("Name of the export: pnl, trades or risk", "pnl"),
    "requested_by": _build_text_schema("Who placed the order", _PERSON),
    "resolved_by": _build_text_schema("Who resolved the issue", "reconciliation"),
    "role": _build_text_schema("Role in the group", "take_profit"),
    "rule": _build_text_schema("Rule that requires the approval", "above_value"),
    "scope": _build_text_schema("What it applies to", "portfolio"),
    "since": _build_instant_schema("When it began"),
    "sequence": _build_integer_schema("Its number, without gaps", 4),
    "run": _build_integer_schema("Number of starts of the strategy", 3),
    "session_expires_at": _allow_null(
        _build_instant_schema("When the broker's session ends; null: there is none")
    ),
    "set_by": _build_text_schema("Who set it", _PERSON),
    "severity": _build_text_schema("How bad it is: info, warning or critical", "critical"),
    "side": _build_text_schema("BUY or SELL", "BUY"),
    "signal_id": _build_text_schema("ID of the signal", "breakout-1"),
    "source": _build_text_schema("Name of the key", "bootstrap"),
    "state": _build_text_schema("ACTIVE, REDUCING or HALTED", "HALTED"),
    "signed_by": _build_text_schema("Person who signed it off", _PERSON),
    "status": _build_text_schema("Status after the transition", "FILLED"),
    "stop_price": _build_amount_schema("Stop price", "160.00"),
    "strategy": _build_text_schema("Strategy of the order", "momentum"),
    "symbol": _build_text_schema("Symbol of the instrument", "AAPL"),
    "theirs": _build_text_schema("The broker's figure", "90"),
    "time_in_force": _build_text_schema("How long the order remains open", "DAY"),
    "trade_id": _build_text_schema("ID of the trade", "T17952423050000000b1f2c3d4"),
    "trades": _build_integer_schema("Number of trades, without reversals", 12),
    "trail_amount": _build_amount_schema("Distance of a trailing stop", "2.00"),
    "trail_level": _build_amount_schema("The stop that the trail has come to", "168.00"),
    "trail_percent": _build_amount_schema("Distance of a trailing stop in percent", "2"),
    "type": _build_text_schema("Type of the order", "MARKET"),
    "unrealized_pnl": _build_amount_schema("Market value less cost", "12.00"),
    "user_id": _build_text_schema("Person that the order is for", "U123"),
    "value": _allow_null(_build_amount_schema("The value at which it fired", "200.05")),
    "volume": _build_amount_schema("Sum of the trades' market values", "52000.00"),
    "webhook_id": _build_text_schema("ID of the webhook", "W17952423050000000c1937aec"),
    "version": _build_integer_schema("Version of the strategy", 2),
    "waived": _allow_null(
        _build_text_schema("The limit that the override waives; null: no override", "MAX_ORDER_VALUE")
    ),
}
_LIMIT_VALUE = _allow_null(
    _build_object_schema("The limit; null: not set", {"value": "1000.00000000", "until": None})
)
SPECIAL: dict[tuple[str, str], JsonSchema] = {  # by the first part of the type and the field
    ("limit", "before"): _LIMIT_VALUE,
    ("limit", "after"): _LIMIT_VALUE,
    ("order", "charges"): _build_object_schema(
        "Charges of the fill", {"total": "1.00", "commission": "1.00"}
    ),
    ("order", "expires_at"): _allow_null(_build_instant_schema("When it expires, as the ticket said")),
    ("broker", "broker"): _build_text_schema("The broker", "alpaca"),
    ("broker", "status"): _build_text_schema("connected, down or refused", "down"),
    ("reconciliation", "status"): _build_text_schema("open or resolved", "open"),
    ("chain", "reason"): _build_text_schema("What is wrong with the row", "row 4 is missing"),
    ("chain", "sequence"): _build_integer_schema("Number of the first row that is wrong", 4),
    ("report", "date"): _build_text_schema("Day of the report, in UTC", "2026-11-20"),
    ("backtest", "status"): _build_text_schema("done or failed", "done"),
    ("backtest", "strategy"): _build_text_schema("Strategy, as the request named it", "trend"),
    ("strategy", "name"): _build_text_schema("Name of the strategy", "trend"),
    ("strategy", "status"): _build_text_schema("INACTIVE, ACTIVE, PAUSED or ERROR", "PAUSED"),
    ("signal", "side"): _allow_null(FIELDS["side"]),
    ("signal", "strategy"): _allow_null(FIELDS["strategy"]),
    ("alert", "kind"): _build_text_schema("price, day_pnl, drawdown or limit_use", "price"),
    ("cash", "kind"): _build_text_schema("Kind of the movement, as in the type", "deposit"),
    ("latch", "name"): _build_text_schema("Name of the strategy, or ID of the key", "trend"),
    ("latch", "scope"): _build_text_schema("strategy or key", "strategy"),
    ("reconciliation", "kind"): _build_text_schema("over or stray; see `order.fill_corrected`", "over"),
    ("alert", "symbol"): _allow_null(FIELDS["symbol"]),
    ("alert", "portfolio_name"): _allow_null(FIELDS["portfolio_name"]),
}


def find_field(family: str, name: str) -> JsonSchema:
    """Return the schema of a field in the events of a family, such as "order"."""
    return SPECIAL.get((family, name)) or FIELDS[name]
