"""Rules of instruments: the format of symbols, tick sizes and lot sizes."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

MAX_SYMBOL_CHARACTERS = 40
SYMBOL_PATTERN = rf"[A-Z0-9][A-Z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}}"
WRITTEN_PATTERN = rf" *[A-Za-z0-9][A-Za-z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}} *"  # the accepted input
_SYMBOL = re.compile(SYMBOL_PATTERN, re.ASCII)
_FINEST = Decimal("0.00000001")
_COINS = (
    "AAVE|ADA|ALGO|APT|ARB|ATOM|AVAX|BCH|BNB|BTC|DOGE|DOT|ETC|ETH|FIL|HBAR|ICP|LINK|LTC|MATIC|NEAR|OP|PEPE|POL"
    "|SHIB|SOL|SUI|TON|TRX|UNI|USDC|USDT|XBT|XLM|XMR|XRP"
)
_COIN_PAIR = re.compile(rf"({_COINS})[/-]?(USDT|USDC|USD|EUR|INR)", re.ASCII)
_SHARE_CLASS = re.compile(r"([A-Z]{1,5})[.-]([A-Z])", re.ASCII)


class InstrumentKey(NamedTuple):
    """A symbol of a tenant."""

    tenant_id: int
    symbol: str


class Instrument(NamedTuple):
    """A symbol and its terms: `tick_size` in currency, `lot_size` in units.

    `name` is for display, `sector` for reports. A symbol without terms is not `is_listed`: it has the
    smallest steps and may be traded.
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
    sector: str = ""


def normalize_symbol(text: str) -> str | None:
    """Return the symbol trimmed and in capitals, or None if it is malformed.

    "BTC/USD", "BRK.B" and "M&M" are valid.
    """
    symbol = text.strip(" ").upper()
    # Some non-ASCII letters have an ASCII capital.
    return symbol if text.isascii() and _SYMBOL.fullmatch(symbol) else None


def list_default_aliases(instrument: Instrument) -> tuple[str, ...]:
    """Return the common other spellings of a listed symbol, sorted.

    These are `BRK-B` for the US share `BRK.B`, and `BTC-USD` and `BTCUSD` for `BTC/USD`.
    """
    is_us_share = (instrument.asset_class, instrument.currency) == ("equity", "USD")
    if is_us_share or _COIN_PAIR.fullmatch(instrument.symbol):
        return list_other_spellings(instrument.symbol)
    return ()


def list_other_spellings(symbol: str) -> tuple[str, ...]:
    """Return the other spellings of a pair with a known coin, or of a share class, sorted."""
    coin_pair, share = _COIN_PAIR.fullmatch(symbol), _SHARE_CLASS.fullmatch(symbol)
    forms: set[str] = set()
    if coin_pair:
        forms = {separator.join(coin_pair.groups()) for separator in ("/", "-", "")}
    elif share:
        forms = {separator.join(share.groups()) for separator in ".-"}
    return tuple(sorted(forms - {symbol}))


def get_trading_currency(terms: Instrument, base: str) -> str:
    """Return the currency in which a portfolio of the currency `base` trades the instrument.

    An unlisted instrument is traded in the portfolio's own currency.
    """
    return terms.currency if terms.is_listed else base


@lru_cache(maxsize=4096)  # each batch of orders asks for the symbols of all its positions
def get_unlisted_terms(symbol: str) -> Instrument:
    """Return the terms of an unlisted symbol.

    A symbol with a slash is crypto, and so is a known coin against USD, USDT, USDC, EUR or INR with or
    without a separator ("BTCUSDT", "ETH-EUR").
    """
    is_crypto = "/" in symbol or _COIN_PAIR.fullmatch(symbol) is not None
    return Instrument(symbol, asset_class="crypto" if is_crypto else "equity")
