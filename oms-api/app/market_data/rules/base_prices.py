"""Base prices and ticks of the simulated prices of well-known symbols."""

import re
from decimal import Decimal
from typing import NamedTuple

from app.instruments.rules import list_other_spellings


class BasePrice(NamedTuple):
    """A base price in the instrument's currency, its tick, and its relative volatility (1: a stock)."""

    price: Decimal
    tick: Decimal
    relative_volatility: int = 1


_CENT = Decimal("0.01")
_PAISE = Decimal("0.05")
# Approximate prices of November 2026. AAPL is near the price in QUICKSTART, so that its first P&L is small.
_STOCKS = {
    "AAPL": "178", "ADBE": "355", "AMD": "235", "AMZN": "228", "AVGO": "352", "BA": "198", "BAC": "52",
    "BRK.B": "508", "CAT": "555", "COST": "905", "CRM": "248", "CSCO": "76", "CVX": "152", "DIS": "108",
    "GE": "302", "GOOG": "285", "GOOGL": "284", "GS": "795", "HD": "358", "IBM": "302", "INTC": "37",
    "JNJ": "198", "JPM": "308", "KO": "71", "LLY": "1025", "MA": "540", "MCD": "308", "META": "605",
    "MRK": "94", "MSFT": "492", "NFLX": "112", "NKE": "65", "NVDA": "188", "ORCL": "222", "PEP": "146",
    "PFE": "25", "PG": "148", "PLTR": "168", "QCOM": "166", "SBUX": "84", "T": "26", "TSLA": "408",
    "UBER": "92", "UNH": "318", "V": "330", "VZ": "41", "WMT": "102", "XOM": "118",
    "DIA": "462", "GLD": "378", "IWM": "238", "QQQ": "605", "SPY": "665", "TLT": "89", "VOO": "612",
}  # fmt: skip
_INDIAN = {
    "BHARTIARTL": "2100", "HDFCBANK": "995", "HINDUNILVR": "2410", "ICICIBANK": "1370", "INFY": "1510",
    "ITC": "405", "LT": "4010", "M&M": "3700", "RELIANCE": "1520", "SBIN": "970", "TATASTEEL": "172",
    "TCS": "3110", "WIPRO": "244",
}  # fmt: skip
_COINS = {
    "BTC/USD": ("92000", "0.01"), "ETH/USD": ("3050", "0.01"), "SOL/USD": ("140", "0.01"),
    "BNB/USD": ("905", "0.01"), "XRP/USD": ("2.2", "0.0001"), "ADA/USD": ("0.47", "0.0001"),
    "DOGE/USD": ("0.16", "0.00001"), "LTC/USD": ("96", "0.01"), "BCH/USD": ("520", "0.01"),
    "DOT/USD": ("2.8", "0.001"), "TRX/USD": ("0.28", "0.0001"), "UNI/USD": ("7.4", "0.001"),
    "XLM/USD": ("0.26", "0.0001"), "XMR/USD": ("390", "0.01"),
}  # fmt: skip
_PAIRS = {
    "AUD/USD": "0.65", "EUR/USD": "1.15", "GBP/USD": "1.31", "NZD/USD": "0.57", "USD/CAD": "1.40",
    "USD/CHF": "0.80", "USD/CNY": "7.11", "USD/HKD": "7.78", "USD/INR": "88.6", "USD/JPY": "156",
    "USD/SGD": "1.30",
}  # fmt: skip

BASE_PRICES: dict[str, BasePrice] = {
    **{symbol: BasePrice(Decimal(price), _CENT) for symbol, price in _STOCKS.items()},
    **{symbol: BasePrice(Decimal(price), _PAISE) for symbol, price in _INDIAN.items()},
    **{symbol: BasePrice(Decimal(price), Decimal(tick), 3) for symbol, (price, tick) in _COINS.items()},
    **{symbol: BasePrice(Decimal(price), Decimal("0.0001")) for symbol, price in _PAIRS.items()},
}
_MIN_CENTS, _RANGE_CENTS = 1_000, 49_000  # in cents: an unknown symbol costs 10 to 500


_CURRENCIES = {currency for currency_pair in _PAIRS for currency in currency_pair.split("/")}
_CURRENCY_PAIR = re.compile(r"[A-Z]{3}/[A-Z]{3}", re.ASCII)


def is_currency_pair(symbol: str) -> bool:
    """Return whether the symbol is the exchange rate of two well-known currencies."""
    return "/" in symbol and all(currency in _CURRENCIES for currency in symbol.split("/"))


def get_base_symbol(symbol: str) -> str:
    """Return the spelling of the symbol that has a base price, or the symbol itself if none has.

    It is `BRK.B` for `BRK-B`, `EUR/USD` for `EURUSD`, and `BTC/USD` for `BTCUSD` and `BTC-USDT`.
    """
    currency_pair = f"{symbol[:3]}/{symbol[3:]}"  # brokers of currencies write them without the slash
    if currency_pair in _PAIRS:
        return currency_pair
    forms = (symbol, *list_other_spellings(symbol))
    dollars = (re.sub(r"/USD[CT]$", "/USD", form) for form in forms)
    return next((form for form in (*forms, *dollars) if form in BASE_PRICES), symbol)


def find_base_price(symbol: str, draw: int) -> BasePrice | None:
    """Return the symbol's base price. `draw`, a number from the seed, determines it for an unknown symbol.

    Return None for an unknown currency pair: its rate values the books, and an invented one would falsify
    them.
    """
    base_price = BASE_PRICES.get(symbol)
    if base_price is not None or _CURRENCY_PAIR.fullmatch(symbol):
        return base_price
    return BasePrice((_MIN_CENTS + draw % _RANGE_CENTS) * _CENT, _CENT)
