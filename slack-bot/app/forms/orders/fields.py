"""Block ids and action ids of the order form.

A block id may end with `~` and a revision. After the bot fills in an entry, the blocks get the next revision:
Slack keeps what was typed in a block whose id stays the same.
"""

TYPE = "type"
SYMBOL = "symbol"
SIDE = "side"
QUANTITY = "quantity"
VALUE = "value"
LIMIT = "limit_price"
STOP = "stop_price"
TRAIL = "trail"
TIME_IN_FORCE = "time_in_force"
EXPIRES = "expires_at"
STOP_LOSS = "stop_loss"
TAKE_PROFIT = "take_profit"
PORTFOLIO = "portfolio"
REASON = "reason"
SYMBOL_LINE = "order_symbol_line"
PREVIEW = "order_preview"
BANNER = "banner"
PROPOSAL = "proposal"  # the block with the button that fills in the nearest order that passes
REVISION_MARK = "~"

ORDER_FORM = "order_form"  # callback id of the view
CHOICE_ACTION = "order_choice"  # type and time in force: the form shows other fields
LIVE_ACTION = "order_live"  # entries that change the preview
ENTRY_ACTION = "order_entry"
PORTFOLIO_ACTION = "order_portfolio"
SYMBOL_ACTION = "order_symbol"
PROPOSAL_ACTION = "order_proposal"

LABELS = {
    TYPE: "Type",
    SYMBOL: "Symbol",
    SIDE: "Side",
    QUANTITY: "Quantity",
    VALUE: "Value",
    LIMIT: "Limit price",
    STOP: "Stop price",
    TRAIL: "Trail",
    TIME_IN_FORCE: "Time in force",
    EXPIRES: "Expires at",
    STOP_LOSS: "Stop loss",
    TAKE_PROFIT: "Take profit",
    PORTFOLIO: "Portfolio",
    REASON: "Reason",
}

# Entries by the names of the fields in the OMS's problem documents.
ENTRIES_BY_OMS_FIELD = {
    "type": TYPE,
    "symbol": SYMBOL,
    "side": SIDE,
    "quantity": QUANTITY,
    "notional": VALUE,
    "limit_price": LIMIT,
    "stop_price": STOP,
    "trail_amount": TRAIL,
    "trail_percent": TRAIL,
    "time_in_force": TIME_IN_FORCE,
    "expires_at": EXPIRES,
    "stop_loss": STOP_LOSS,
    "take_profit": TAKE_PROFIT,
    "portfolio_name": PORTFOLIO,
    "reason": REASON,
}


def build_block_id(entry: str, revision: int) -> str:
    """Return the id of an entry's block in a revision of the form."""
    return f"{entry}{REVISION_MARK}{revision}" if revision else entry


def find_entry(path: str) -> str | None:
    """Return the entry of a field of the OMS (`quantity`, `stop_loss.stop_price`), None if there is none."""
    return next(
        (ENTRIES_BY_OMS_FIELD[part] for part in path.split(".") if part in ENTRIES_BY_OMS_FIELD), None
    )
