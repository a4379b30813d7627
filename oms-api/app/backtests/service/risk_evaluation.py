"""Evaluate orders by the pre-trade checks of the live service."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.account import BacktestAccount
from app.backtests.service.orders import BacktestOrder
from app.instruments.rules import Instrument
from app.ledger.rules.keys import SymbolProductKey
from app.money import ZERO
from app.risk.rules.evaluation import evaluate_exit, evaluate_order
from app.risk.rules.exposure import add_totals, build_symbol_exposure, compute_totals, find_order_price
from app.risk.rules.limits import LimitSubject, resolve_limits
from app.risk.rules.values import (
    NO_EXPOSURE,
    CandidateOrder,
    Denial,
    ExposureTotals,
    OrderLimits,
    Prices,
    RiskInput,
    SymbolExposure,
    TradedInstrument,
    charge_nothing,
)  # fmt: skip

_MINUTE_SECONDS = 60
OpenOrdersBySymbol = Mapping[str, Mapping[str, BacktestOrder]]  # by symbol and id
FindPrice = Callable[[str], Decimal | None]


class RiskEvaluator:
    """Evaluates the orders of a backtest. Losses are measured from the last UTC midnight and the peak."""

    def __init__(
        self,
        settings: BacktestSettings,
        account: BacktestAccount,
        open_orders: OpenOrdersBySymbol,
        find_price: FindPrice,
    ) -> None:
        self._settings, self._account = settings, account
        self._open_orders, self._find_price = open_orders, find_price
        self._rows = settings.list_limits()
        self._limits: dict[str, OrderLimits] = {}
        self._tradable: dict[str, TradedInstrument] = {}
        self._instruments: dict[str, Instrument] = {}
        self._order_times: deque[int] = deque()
        self._day_equity = self._peak_equity = account.opening_cash

    def start_day(self) -> None:
        """Begin a day: its losses are measured from the equity now."""
        self._day_equity = self._account.equity

    def count_order_message(self, instrument: Instrument, at: int) -> Denial | None:
        """Count an order, a change or a cancellation. Return the denial if there are too many in a minute."""
        most = self._get_limits(instrument).messages_per_minute
        if most is None or not self._settings.has_risk_checks:
            return None
        while self._order_times and self._order_times[0] <= at - _MINUTE_SECONDS:
            self._order_times.popleft()
        if len(self._order_times) >= most:
            return Denial("MESSAGES_PER_MINUTE", f"At most {most:f} messages a minute are allowed.", most)
        self._order_times.append(at)
        return None

    def find_denial(
        self, order: BacktestOrder, at: int, excluded: BacktestOrder | None = None
    ) -> Denial | None:
        """Return the denial of an order, None if it passes. The order that it replaces is excluded."""
        if not self._settings.has_risk_checks:
            return None
        risk = self._build_input(order, at, excluded)
        if order.parent_id is not None:
            return evaluate_exit(risk, is_change=excluded is not None)
        return evaluate_order(risk)

    def _build_input(self, order: BacktestOrder, at: int, excluded: BacktestOrder | None) -> RiskInput:
        instrument, candidate = order.instrument, order.build_candidate()
        symbol, account = candidate.symbol, self._account
        prices, limits = Prices(last=self._find_price(symbol)), self._get_limits(instrument)
        instant = datetime.fromtimestamp(at, UTC)
        key = SymbolProductKey(symbol, order.product)
        rate = account.find_rate_to_value(instrument, account.get_position(key))
        charges: Callable[[Decimal], Decimal] = charge_nothing
        price = find_order_price(candidate, prices)
        if price is not None and not account.calculator.terms.is_free:
            charges = partial(self._estimate_charges, order, price, instant, rate)
        loss, drawdown = self._measure_losses(limits)
        return RiskInput(
            order=candidate,
            instrument=self._get_tradable(instrument),
            prices=prices,
            symbol_exposure=self._build_symbol_exposure(key, instant, order, excluded, candidate),
            limits=limits,
            cash=account.cash,
            other_exposure=self._sum_others(key, instant),
            portfolio_name_key="backtest",
            pnl_of_day=loss,
            drawdown=drawdown,
            charges=charges,
            no_rate=None if rate is None or rate else f"{instrument.currency}/{self._settings.currency}",
        )

    def _estimate_charges(
        self, order: BacktestOrder, price: Decimal, at: datetime, rate: Decimal | None, quantity: Decimal
    ) -> Decimal:
        return self._account.calculator.estimate_charges(order, quantity, price, at, rate)

    def _build_symbol_exposure(
        self, key: SymbolProductKey, at: datetime, order: BacktestOrder | None = None,
        excluded: BacktestOrder | None = None, candidate: CandidateOrder | None = None,
    ) -> SymbolExposure:  # fmt: skip
        """Return the exposure of a symbol and product, without an order and the order that it replaces."""
        mark, position = self._find_price(key.symbol), self._account.get_position(key)
        rate = self._account.find_rate_to_value(self._get_instrument(key.symbol), position)
        prices = Prices(last=mark)
        working_orders = [
            other.build_working_order(
                ZERO if price is None else self._estimate_charges(other, price, at, rate, other.leaves)
            )
            for other in self._open_orders.get(key.symbol, {}).values()
            if other is not order and other is not excluded and other.product == key.product
            for price in (find_order_price(other.build_candidate(), prices),)
        ]
        return build_symbol_exposure(position.quantity, mark, working_orders, prices, candidate, rate)

    def _sum_others(self, key: SymbolProductKey, at: datetime) -> ExposureTotals:
        """Return the totals of the portfolio's other symbols and products."""
        positions = self._account.positions
        if len(self._open_orders) == 1 and (not positions or (len(positions) == 1 and key in positions)):
            return NO_EXPOSURE
        keys = {key for key, position in positions.items() if position.quantity}
        keys |= {
            SymbolProductKey(symbol, backtest_order.product)
            for symbol, orders_by_id in self._open_orders.items()
            for backtest_order in orders_by_id.values()
        }
        total = NO_EXPOSURE
        for symbol_product_key in keys - {key}:
            total = add_totals(total, compute_totals(self._build_symbol_exposure(symbol_product_key, at)))
        return total

    def _measure_losses(self, limits: OrderLimits) -> tuple[Decimal | None, Decimal | None]:
        """Return the P&L of the day and the drawdown, None where no limit needs them."""
        if limits.max_daily_loss is None and limits.max_drawdown is None:
            return None, None
        equity = self._account.equity
        self._peak_equity = max(self._peak_equity, equity)
        return equity - self._day_equity, self._peak_equity - equity

    def _get_limits(self, instrument: Instrument) -> OrderLimits:
        symbol = instrument.symbol
        if symbol not in self._limits:
            strategy = self._settings.strategy or None
            subject = LimitSubject("backtest", symbol, strategy=strategy, asset_class=instrument.asset_class)
            self._limits[symbol] = resolve_limits(subject, self._rows)
        return self._limits[symbol]

    def _get_instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            self._instruments[symbol] = self._settings.build_instrument(symbol)
        return self._instruments[symbol]

    def _get_tradable(self, instrument: Instrument) -> TradedInstrument:
        if instrument.symbol not in self._tradable:
            terms = TradedInstrument(
                instrument.tick_size, instrument.lot_size, asset_class=instrument.asset_class
            )
            self._tradable[instrument.symbol] = terms
        return self._tradable[instrument.symbol]
