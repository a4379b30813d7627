"""The symbols of currency pairs in bars: "USD/INR" and "USDINR" are rupees per dollar."""

from app.ledger.rules.currencies import CURRENCIES

_CODE_CHARACTERS = 3


def parse_pair(symbol: str) -> str | None:
    """Return the pair as "USD/INR", None if the symbol is not one."""
    codes = symbol.replace("/", "", 1)
    first, other = codes[:_CODE_CHARACTERS], codes[_CODE_CHARACTERS:]
    return f"{first}/{other}" if first in CURRENCIES and other in CURRENCIES and first != other else None


def parse_currency(code: str) -> str:
    """Return a code in capitals. Raises ValueError if it is not one of a currency."""
    if code.upper() not in CURRENCIES:
        raise ValueError(f"{code!r} must be a currency such as USD")
    return code.upper()


def parse_pairs(text: str) -> tuple[str, ...]:
    """Return the symbols of "USD/INR,EURUSD". Raises ValueError if one is not a currency pair."""
    symbols = tuple(word.strip().upper() for word in text.split(",") if word.strip())
    for symbol in symbols:
        if parse_pair(symbol) is None:
            raise ValueError(f"{symbol!r} must be a pair such as USD/INR")
    return symbols
