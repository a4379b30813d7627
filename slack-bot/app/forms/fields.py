"""The trade form's block ids, which Slack keys errors by, and its action ids."""

SYMBOL = "symbol"
QUANTITY = "quantity"
GMV = "gmv"
SIDE = "side"
PORTFOLIO = "portfolio"
NOTE = "note"
PRICE_LINE = "price_line"
PRICE_OK_PREFIX = "price_ok:"  # the rest is the price that is asked about: another price is asked about anew
PORTFOLIO_OK = "portfolio_ok"  # a tick whose value is the portfolio that may be opened
NEW_PORTFOLIO = "New portfolio: "  # begins the text of an option whose name the books do not have

TRADE_FORM = "trade_form"  # callback id of the view
ACTION = "entry"  # action id of every field; the block tells them apart
PORTFOLIO_ACTION = "portfolio_entry"
QUANTITY_ACTION = "quantity_entry"
GMV_ACTION = "gmv_entry"

LABELS = {
    SYMBOL: "Symbol",
    QUANTITY: "Quantity",
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
    "price": GMV,
    "side": SIDE,
    "portfolio_name": PORTFOLIO,
    "note": NOTE,
}


def of_oms(path: str) -> str | None:
    """Return the block that shows what the OMS says of a field (`quantity`, `body.quantity`), if one does."""
    return OF_OMS.get(path.rpartition(".")[2])
