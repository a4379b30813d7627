"""The portfolio of a backtest: cash, positions, charges and round trips, by the rules of the ledger."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.movements import BacktestCashMovement, MovementKind
from app.backtests.rules.settings import BacktestSettings
from app.backtests.rules.trips import TripTracker
from app.backtests.service.currency_rates import CurrencyRates
from app.backtests.service.orders import BacktestOrder
from app.brokers.rules.values import Executed
from app.costs.errors import RateUnknown
from app.costs.rules.booked_charges import ChargedTrade, compute_booked_charges
from app.costs.rules.charges import compute_dp_charge
from app.costs.rules.markets import MARKETS, get_trading_day
from app.costs.rules.rates import RateTable
from app.costs.rules.values import ChargedExecution, OrderTerms, OrderTotals, Schedule
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import (
    FLAT,
    Fill,
    Position,
    apply_fill,
    build_fill,
    choose_fill_currency,
    convert_amount,
)
from app.ledger.rules.keys import SymbolProductKey
from app.money import ZERO, multiply
from app.orders.rules.trading_sessions import INTRADAY
from app.timestamps import format_timestamp

_NO_FILLS = OrderTotals()


class ChargeCalculator:
    """Computes the charges of fills. Fees of a day accumulate over all orders, as in the service."""

    def __init__(self, settings: BacktestSettings, rates: RateTable) -> None:
        self.terms, self._base = settings.costs, settings.currency
        self._table = rates
        self._fee_totals: str | None = None
        self._dp_days: set[tuple[str, date]] = set()

    def compute_charges(
        self, order: BacktestOrder, fill: Executed, currency: str | None, rate: Decimal | None
    ) -> Decimal:
        """Return the charges of a fill, and add it to the totals of its order and day.

        `currency` and `rate` are None in the portfolio's own currency.
        """
        terms = self.terms
        if terms.is_free:
            return ZERO
        flat = ZERO if order.filled_quantity else terms.flat_fee
        if terms.schedule is Schedule.NONE:
            return flat + multiply(convert_amount(fill.value, rate), terms.fee_rate)
        execution = ChargedExecution(fill.quantity, fill.value)
        trade = self._build_trade(order, execution, fill.at, currency, rate)
        day = get_trading_day(trade.exchange, fill.at) if trade.exchange in MARKETS else None
        if day != order.day:
            order.day, order.day_quantity, order.day_value = day, ZERO, ZERO
        filled = OrderTotals(order.day_quantity, order.day_value)
        booked_charges = compute_booked_charges(trade, filled, self._fee_totals, self._table)
        self._fee_totals = booked_charges.fee_totals or self._fee_totals
        order.day_quantity += fill.quantity
        order.day_value += fill.value
        return booked_charges.total

    def compute_delivery_charge(
        self, order: BacktestOrder, fill: Executed, position: Position, rate: Decimal | None
    ) -> Decimal:
        """Return the depository charge of a sale, once per symbol and day, as the ledger books it."""
        exchange, symbol = order.instrument.exchange, order.ticket.symbol
        if self.terms.schedule is not Schedule.ZERODHA or exchange not in MARKETS:
            return ZERO
        if order.side.sign > 0 or position.quantity <= 0 or order.product == INTRADAY:
            return ZERO
        day = get_trading_day(exchange, fill.at)
        opened_at = None if position.opened_at is None else datetime.fromisoformat(position.opened_at)
        is_intraday = opened_at is not None and get_trading_day(exchange, opened_at) == day
        terms = OrderTerms(Schedule.ZERODHA, exchange, order.side, day, order.product or None)
        if is_intraday or (symbol, day) in self._dp_days:
            return ZERO
        self._dp_days.add((symbol, day))
        try:
            return convert_amount(compute_dp_charge(terms, self._table), rate)
        except RateUnknown:
            return ZERO

    def estimate_charges(
        self, order: BacktestOrder, quantity: Decimal, price: Decimal, at: datetime, rate: Decimal | None
    ) -> Decimal:
        """Return the charges of a fill of a quantity at a price, as the live risk checks estimate them."""
        terms, value = self.terms, multiply(quantity, price)
        if terms.schedule is Schedule.NONE:
            return terms.flat_fee + multiply(convert_amount(value, rate), terms.fee_rate)
        currency = None if rate is None else order.instrument.currency
        trade = self._build_trade(order, ChargedExecution(quantity, value), at, currency, rate)
        try:
            return compute_booked_charges(trade, _NO_FILLS, None, self._table).total
        except RateUnknown:
            return ZERO

    def _build_trade(
        self, order: BacktestOrder, execution: ChargedExecution, at: datetime, currency: str | None,
        rate: Decimal | None,
    ) -> ChargedTrade:  # fmt: skip
        return ChargedTrade(
            self.terms.schedule, order.instrument.exchange, order.product, order.side, execution,
            currency or self._base, rate, at, order.is_square_off,
        )  # fmt: skip


class PositionExposure(NamedTuple):
    """The sum of the values of positions, with their signs (net) and without (gross)."""

    net: Decimal
    gross: Decimal


class BacktestAccount:
    """Cash and positions after the fills so far. `get_price` returns the last price of a symbol."""

    def __init__(
        self, settings: BacktestSettings, get_price: Callable[[str], Decimal], rates: RateTable,
        currency_rates: CurrencyRates, record_movement: Callable[[BacktestCashMovement], None],
    ) -> None:  # fmt: skip
        self._get_price, self._record_movement = get_price, record_movement
        self._currency_rates, self._has_currencies = currency_rates, settings.has_other_currencies
        self.movements: defaultdict[MovementKind, Decimal] = defaultdict(lambda: ZERO)  # sums
        self.cash = self.opening_cash = settings.cash
        self.positions: dict[SymbolProductKey, Position] = {}
        self.charges = self.traded = self.realized_pnl = ZERO
        self.fills = 0
        self.calculator = ChargeCalculator(settings, rates)
        self._trips: defaultdict[SymbolProductKey, TripTracker] = defaultdict(TripTracker)
        self._needs_days = settings.costs.schedule is Schedule.ZERODHA

    @property
    def equity(self) -> Decimal:
        """Cash and the market value of all positions."""
        return self.cash + self.compute_exposure().net

    @property
    def earned(self) -> list[Decimal]:
        """The P&L of each closed round trip, net of charges."""
        return [pnl for tracker in self._trips.values() for pnl in tracker.earned]

    def get_position(self, key: SymbolProductKey) -> Position:
        """Return a position, flat if there is none."""
        return self.positions.get(key, FLAT)

    def find_quantity(self, symbol: str, product_name: str) -> Decimal:
        """Return the signed quantity of a position."""
        return self.get_position(SymbolProductKey(symbol, product_name)).quantity

    def get_order_position(self, order: BacktestOrder) -> Position:
        """Return the position that an order changes."""
        return self.get_position(SymbolProductKey(order.ticket.symbol, order.product))

    def book_fill(self, order: BacktestOrder, fill: Executed) -> Decimal:
        """Book a fill, and return its charges. Raises InvalidBacktest if no rate of that time is known."""
        key = SymbolProductKey(order.ticket.symbol, order.product)
        position, sign = self.get_position(key), order.side.sign
        currency, rate = self.find_currency(order.instrument, position), None
        if currency is not None:
            rate = self._currency_rates.require(currency, int(fill.at.timestamp()))
        try:
            charges = self.calculator.compute_charges(order, fill, currency, rate)
        except RateUnknown as error:
            raise InvalidBacktest(str(error)) from None
        delivery = (
            self.calculator.compute_delivery_charge(order, fill, position, rate) if self._needs_days else ZERO
        )
        at = (
            format_timestamp(fill.at.astimezone(UTC))
            if self._needs_days and order.product != INTRADAY
            else None
        )
        booked_fill = build_fill(order.side, fill.quantity, fill.value, currency, rate, at)
        current = apply_fill(position, booked_fill)
        self.positions[key] = current
        self.cash -= sign * booked_fill.value + charges + delivery
        self.charges += charges + delivery
        self.realized_pnl += current.realized_pnl - position.realized_pnl
        self.traded += booked_fill.value
        self.fills += 1
        self._trips[key].book_fill(position, current, sign * fill.quantity, charges + delivery)
        return charges

    def book_movement(self, movement: BacktestCashMovement) -> None:
        """Book cash that no fill moved, and record it."""
        if movement.amount:
            self.cash += movement.amount
            self.movements[movement.kind] += movement.amount
            self._record_movement(movement)

    def book_fraction(self, key: SymbolProductKey, fill: Fill, at: int, reason: str) -> None:
        """Book the cash in lieu of the fraction that a split leaves: a trade without charges."""
        previous = self.get_position(key)
        current = apply_fill(previous, fill)
        self.positions[key] = current
        self.realized_pnl += current.realized_pnl - previous.realized_pnl
        self._trips[key].book_fill(previous, current, fill.side.sign * fill.quantity, ZERO)
        amount = -fill.side.sign * fill.value
        self.book_movement(BacktestCashMovement(at, MovementKind.CASH_IN_LIEU, amount, reason, key.symbol))

    def find_currency(self, instrument: Instrument, position: Position) -> str | None:
        """Return the currency that an instrument trades in, None if it is the portfolio's own."""
        if not self._has_currencies:
            return None
        listed_currency = instrument.currency if instrument.is_listed else None
        return choose_fill_currency(position, listed_currency, self._currency_rates.base)

    def find_rate(self, currency: str | None) -> Decimal | None:
        """Return the value of one unit of a currency in the portfolio's, None if it is the portfolio's.

        Raises InvalidBacktest if no rate is known.
        """
        if currency is None or currency == self._currency_rates.base:
            return None
        return self._currency_rates.require(currency)

    def find_rate_to_value(self, instrument: Instrument, position: Position) -> Decimal | None:
        """Return the rate to value an order and its position, None in the portfolio's own currency.

        It is zero if no rate is known, so that no new order passes.
        """
        currency = self.find_currency(instrument, position)
        return None if currency is None else self._currency_rates.find(currency) or ZERO

    def value_position(self, key: SymbolProductKey, position: Position) -> Decimal:
        """Return the signed market value of a position at the last price."""
        value = multiply(position.quantity, self._get_price(key.symbol))
        return (
            value
            if position.currency is None
            else multiply(value, self._currency_rates.require(position.currency))
        )

    def compute_exposure(self) -> PositionExposure:
        """Return the exposure of the positions at the last prices."""
        net = gross = ZERO
        for key, position in self.positions.items():
            if position.quantity:
                value = self.value_position(key, position)
                net += value
                gross += abs(value)
        return PositionExposure(net, gross)
