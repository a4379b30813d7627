"""Block ids of the trade form, by which Slack reports errors, and its action ids."""

SYMBOL = "symbol"
QUANTITY = "quantity"
PRICE = "price"
GMV = "gmv"
SIDE = "side"
PORTFOLIO = "portfolio"
NOTE = "note"
SYMBOL_LINE = "symbol_line"
PRICE_LINE = "price_line"
# Prefixes of the block ids of questions. The rest identifies the subject; see `forms.questions`.
PRICE_OK_PREFIX = "price_ok:"
SYMBOL_OK_PREFIX = "symbol_ok:"
PORTFOLIO_OK_PREFIX = "portfolio_ok:"
SHORT_OK_PREFIX = "short_ok:"
REPEAT_OK_PREFIX = "repeat_ok:"
STOP_OK_PREFIX = "stop_ok:"
QUESTION_PREFIXES = (
    PRICE_OK_PREFIX,
    SYMBOL_OK_PREFIX,
    PORTFOLIO_OK_PREFIX,
    SHORT_OK_PREFIX,
    REPEAT_OK_PREFIX,
    STOP_OK_PREFIX,
)
REASON_PREFIX = "why:"  # the block with the reason for a question: this prefix and the question's id
NEW_PORTFOLIO = "New portfolio: "  # prefix of the option that creates a portfolio

NO_CHOICE = "/"  # value of an option that only shows a reason; not a valid portfolio name

TRADE_FORM = "trade_form"  # callback id of the view
ACTION = "entry"  # action id of every other field; the block id distinguishes them
PORTFOLIO_ACTION = "portfolio_entry"
QUANTITY_ACTION = "quantity_entry"
PRICE_ACTION = "price_entry"
GMV_ACTION = "gmv_entry"

LABELS = {
    SYMBOL: "Symbol",
    QUANTITY: "Quantity",
    PRICE: "Price",
    GMV: "GMV",
    SIDE: "Side",
    PORTFOLIO: "Portfolio",
    NOTE: "Note",
}

# Blocks by the names of the fields in the OMS's problem documents.
BLOCKS_BY_OMS_FIELD = {
    "symbol": SYMBOL,
    "quantity": QUANTITY,
    "gmv": GMV,
    "price": PRICE,
    "side": SIDE,
    "portfolio_name": PORTFOLIO,
    "note": NOTE,
}


def find_block(path: str) -> str | None:
    """Return the block of a field of the OMS (`quantity`, `body.quantity`), None if the form has none."""
    return BLOCKS_BY_OMS_FIELD.get(path.rpartition(".")[2])
