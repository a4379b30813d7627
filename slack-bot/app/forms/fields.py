"""The trade form's block ids, which Slack keys errors by, and its action ids."""

SYMBOL = "symbol"
QUANTITY = "quantity"
PRICE = "price"
GMV = "gmv"
SIDE = "side"
PORTFOLIO = "portfolio"
NOTE = "note"
SYMBOL_LINE = "symbol_line"
PRICE_LINE = "price_line"
# The block ids of questions begin so; the rest says what is asked about. See `forms.questions`.
PRICE_OK_PREFIX = "price_ok:"
SYMBOL_OK_PREFIX = "symbol_ok:"
PORTFOLIO_OK_PREFIX = "portfolio_ok:"
SHORT_OK_PREFIX = "short_ok:"
REPEAT_OK_PREFIX = "repeat_ok:"
QUESTION_PREFIXES = (
    PRICE_OK_PREFIX,
    SYMBOL_OK_PREFIX,
    PORTFOLIO_OK_PREFIX,
    SHORT_OK_PREFIX,
    REPEAT_OK_PREFIX,
)
REASON_PREFIX = "why:"  # before the id of a question: the block that says why it is asked
NEW_PORTFOLIO = "New portfolio: "  # begins the text of an option whose name the books do not have

NO_CHOICE = "/"  # the value of an option that only says why there is nothing to choose; no portfolio's name

TRADE_FORM = "trade_form"  # callback id of the view
ACTION = "entry"  # action id of every field; the block tells them apart
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

# The OMS's names of what these fields say, in its problem documents.
OF_OMS = {
    "symbol": SYMBOL,
    "quantity": QUANTITY,
    "gmv": GMV,
    "price": PRICE,
    "side": SIDE,
    "portfolio_name": PORTFOLIO,
    "note": NOTE,
}


def of_oms(path: str) -> str | None:
    """Return the block that shows what the OMS says of a field (`quantity`, `body.quantity`), if one does."""
    return OF_OMS.get(path.rpartition(".")[2])
