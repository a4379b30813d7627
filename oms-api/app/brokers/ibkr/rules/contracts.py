"""Instruments as IBKR's contracts, and back. Stocks are routed by SMART, currency pairs by IDEALPRO."""

from typing import NamedTuple

STOCK, FOREX = "STK", "CASH"
FOREX_CLASS = "fx"
_STOCK_CLASSES = frozenset({"equity", "etf"})
_PRIMARY_EXCHANGES = frozenset({"NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "IEX"})
_PAIR_LENGTH, _CURRENCY_LENGTH = 6, 3


class ContractTerms(NamedTuple):
    """The terms of a contract. The symbol of a currency pair is its first currency."""

    symbol: str
    sec_type: str
    exchange: str
    currency: str
    primary_exchange: str = ""


def find_contract(symbol: str, asset_class: str, currency: str, exchange: str) -> ContractTerms | None:
    """Return the contract of an instrument, None if the adapter does not trade its kind."""
    if asset_class in _STOCK_CLASSES:
        primary = exchange if exchange in _PRIMARY_EXCHANGES else ""
        return ContractTerms(symbol.replace(".", " "), STOCK, "SMART", currency, primary)
    currencies = symbol.replace("/", "")
    if asset_class == FOREX_CLASS and len(currencies) == _PAIR_LENGTH and currencies.isalpha():
        return ContractTerms(currencies[:_CURRENCY_LENGTH], FOREX, "IDEALPRO", currencies[_CURRENCY_LENGTH:])
    return None


def build_symbol(terms: ContractTerms) -> str:
    """Return our symbol of a contract: BRK.B, EURUSD."""
    if terms.sec_type == FOREX:
        return terms.symbol + terms.currency
    return terms.symbol.replace(" ", ".")
