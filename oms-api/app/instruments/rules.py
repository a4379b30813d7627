"""What can be traded: the form of its symbol, and the steps in which its price and quantity go."""

import re
from decimal import Decimal
from typing import NamedTuple

MAX_SYMBOL_CHARACTERS = 40
SYMBOL_PATTERN = rf"[A-Z0-9][A-Z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}}"
WRITTEN_PATTERN = rf" *[A-Za-z0-9][A-Za-z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}} *"  # how it may come in
_SYMBOL = re.compile(SYMBOL_PATTERN, re.ASCII)
_FINEST = Decimal("0.00000001")
_COINS = (
    "AAVE|ADA|ALGO|APT|ARB|ATOM|AVAX|BCH|BNB|BTC|DOGE|DOT|ETC|ETH|FIL|HBAR|ICP|LINK|LTC|MATIC|NEAR|OP|PEPE|POL"
    "|SHIB|SOL|SUI|TON|TRX|UNI|USDC|USDT|XBT|XLM|XMR|XRP"
)
_COIN_PAIR = re.compile(rf"({_COINS})[/-]?(USDT|USDC|USD|EUR|INR)", re.ASCII)
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.-]([A-Z])", re.ASCII)


class Instrument(NamedTuple):
    """A symbol and its terms: `tick_size` in currency, `lot_size` in units; `name` is for people.

    One that nobody has described is not `is_listed`; its steps are the finest there are, and nothing is
    against trading it.
    """

    symbol: str
    exchange: str = ""
    asset_class: str = "equity"
    currency: str = "USD"
    tick_size: Decimal = _FINEST
    lot_size: Decimal = _FINEST
    is_tradable: bool = True
    is_restricted: bool = False
    is_listed: bool = False
    name: str = ""


def normalise_symbol(text: str) -> str | None:
    """Return the symbol trimmed and in capitals, or None where it is not one ("BTC/USD", "BRK.B", "M&M"
    are).
    """
    symbol = text.strip(" ").upper()
    # Some letters beyond ASCII have a capital within it.
    return symbol if text.isascii() and _SYMBOL.fullmatch(symbol) else None


def usual_aliases(instrument: Instrument) -> tuple[str, ...]:
    """Return the other forms in which a listed symbol is usually written, sorted: `BRK-B` of the US share
    `BRK.B`, and `BTC-USD` and `BTCUSD` of `BTC/USD`.
    """
    is_us_share = (instrument.asset_class, instrument.currency) == ("equity", "USD")
    if is_us_share or _COIN_PAIR.fullmatch(instrument.symbol):
        return other_forms(instrument.symbol)
    return ()


def other_forms(symbol: str) -> tuple[str, ...]:
    """Return the other forms of a pair with a known coin, or of a class of shares, sorted."""
    pair, share = _COIN_PAIR.fullmatch(symbol), _SHARE_CLASS.fullmatch(symbol)
    forms: set[str] = set()
    if pair:
        forms = {separator.join(pair.groups()) for separator in ("/", "-", "")}
    elif share:
        forms = {separator.join(share.groups()) for separator in ".-"}
    return tuple(sorted(forms - {symbol}))


def currency_for(terms: Instrument, base: str) -> str:
    """Return the currency that the instrument is traded in by a portfolio of the currency `base`: its own
    where nobody has listed it.
    """
    return terms.currency if terms.is_listed else base


def unlisted(symbol: str) -> Instrument:
    """Return the terms of a symbol that nobody has described: one with a slash, or a known coin against USD,
    USDT, USDC, EUR or INR with or without a separator ("BTCUSDT", "ETH-EUR"), is crypto.
    """
    is_crypto = "/" in symbol or _COIN_PAIR.fullmatch(symbol) is not None
    return Instrument(symbol, asset_class="crypto" if is_crypto else "equity")
