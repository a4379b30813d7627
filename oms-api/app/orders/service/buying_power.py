"""Compute the buying power of portfolios outside the writer, for the ledger's routes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.queries.batch_statements import load_positions_of_portfolios
from app.ledger.queries.valuation import load_last_prices
from app.ledger.rules.accounting import FLAT, Position, choose_fill_currency
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.service.cash import PortfolioCash
from app.market_data.queries.marks import load_overrides
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.money import ZERO
from app.orders.queries.orders import list_open_orders
from app.orders.rules.values import Order
from app.orders.service.batch_state.loaded_state import compute_optional_mark, get_prices
from app.orders.service.risk_checks.currency_conversion import get_cost_rate
from app.orders.service.risk_checks.exposure import list_working_orders
from app.orders.service.risk_checks.fill_charges import ChargedMarket
from app.risk.rules.checks.buying_power import compute_buying_power
from app.risk.rules.exposure import build_symbol_exposure, sum_totals
from app.risk.rules.values import SymbolExposure


class BuyingPowerReader:
    """Reads the buying power of portfolios at current prices. One instance serves a process."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def __call__(
        self, connection: Connection, portfolios: Sequence[PortfolioCash], at: datetime
    ) -> dict[int, Decimal]:
        """Return the buying power of portfolios of one tenant, by portfolio id."""
        positions, orders = _load_positions_and_orders(connection, portfolios)
        books: dict[int, list[SymbolExposure]] = {}
        if positions or orders:
            books = self._build_books(connection, portfolios, positions, orders, at)
        return {
            portfolio.portfolio_id: compute_buying_power(
                portfolio.cash, sum_totals(books.get(portfolio.portfolio_id, ()))
            )
            for portfolio in portfolios
        }

    def _build_books(
        self,
        connection: Connection,
        portfolios: Sequence[PortfolioCash],
        positions: dict[PositionKey, Position],
        orders: dict[PositionKey, list[Order]],
        at: datetime,
    ) -> dict[int, list[SymbolExposure]]:
        bases = {portfolio.portfolio_id: portfolio.base_currency for portfolio in portfolios}
        symbols = sorted({key.instrument_key for key in (*positions, *orders)})
        instruments = load_instruments(connection, symbols)
        currencies = {
            key: _get_currency(
                positions.get(key, FLAT), instruments[key.instrument_key], bases[key.portfolio_id]
            )
            for key in {*positions, *orders}
        }
        quotes = self._find_quotes(connection, symbols, currencies, bases, at)
        overrides = load_overrides(connection, symbols, at)
        marks = {
            key: overrides[key].price if key in overrides else compute_optional_mark(quotes.get(key.symbol))
            for key in symbols
        }
        open_keys = [key for key, position in positions.items() if position.quantity]
        unmarked = sorted(key for key in open_keys if marks[key.instrument_key] is None)
        last_prices = load_last_prices(connection, unmarked)
        books: dict[int, list[SymbolExposure]] = {}
        for key, currency in currencies.items():
            position, base = positions.get(key, FLAT), bases[key.portfolio_id]
            rate = None if currency is None else _find_rate(position, currency, base, quotes)
            market = ChargedMarket(instruments[key.instrument_key].exchange, currency or base, rate)
            mark = last_prices.get(key, marks[key.instrument_key])
            prices = get_prices(quotes.get(key.symbol))
            working_orders = list_working_orders(orders.get(key, []), position, prices, mark, market)
            book = build_symbol_exposure(position.quantity, mark, working_orders, prices, rate=rate)
            books.setdefault(key.portfolio_id, []).append(book)
        return books

    def _find_quotes(
        self,
        connection: Connection,
        symbols: Sequence[InstrumentKey],
        currencies: Mapping[PositionKey, str | None],
        bases: Mapping[int, str],
        at: datetime,
    ) -> dict[str, Quote]:
        """Return the quotes of the symbols, and of the currency pairs that convert them, by symbol."""
        pairs = {
            InstrumentKey(key.tenant_id, currency_pair)
            for key, currency in currencies.items()
            if currency is not None
            for currency_pair in list_pairs(currency, bases[key.portfolio_id])
        }
        quotes = self._market.load_quotes(connection, sorted({*symbols, *pairs}), at)
        return {key.symbol: quote for key, quote in quotes.items()}


def _load_positions_and_orders(
    connection: Connection, portfolios: Sequence[PortfolioCash]
) -> tuple[dict[PositionKey, Position], dict[PositionKey, list[Order]]]:
    """Return the short positions and those with open orders, and the open orders, by portfolio and symbol."""
    portfolio_keys = [PortfolioKey(portfolio.tenant_id, portfolio.portfolio_id) for portfolio in portfolios]
    orders: dict[PositionKey, list[Order]] = {}
    for order in list_open_orders(connection, portfolio_keys):
        orders.setdefault(order.position_key, []).append(order)
    portfolio_ids_with_orders = {key.portfolio_id for key in orders}
    read = [
        key
        for key, portfolio in zip(portfolio_keys, portfolios, strict=True)
        if portfolio.may_be_short or key.portfolio_id in portfolio_ids_with_orders
    ]
    loaded = load_positions_of_portfolios(connection, read) if read else []
    positions = {key: position for key, position in loaded if position.quantity < 0 or key in orders}
    return positions, orders


def _get_currency(position: Position, instrument: Instrument, base: str) -> str | None:
    return choose_fill_currency(position, instrument.currency if instrument.is_listed else None, base)


def _find_rate(position: Position, currency: str, base: str, quotes: dict[str, Quote]) -> Decimal:
    rate = find_rate(currency, base, quotes)
    return (get_cost_rate(position) or ZERO) if rate is None else rate
