"""Book splits and dividends in the portfolio of a backtest, by the rules of the ledger."""

from collections.abc import Mapping

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.movements import BacktestCashMovement, MovementKind
from app.backtests.service.account import BacktestAccount
from app.backtests.service.feeds import BarFeed
from app.backtests.service.order_manager import OrderManager
from app.ledger.rules.accounting import Position, Side, build_fill
from app.ledger.rules.corporate_actions import (
    ActionKind,
    CorporateActionTerms,
    Split,
    apply_split,
    compute_dividend,
    compute_fraction,
    compute_fraction_price,
)
from app.ledger.rules.keys import SymbolProductKey
from app.money import ZERO


class CorporateActionBooker:
    """Books actions at the instants at which they take effect."""

    def __init__(self, account: BacktestAccount, orders: OrderManager, feeds: Mapping[str, BarFeed]) -> None:
        self._account, self._orders, self._feeds = account, orders, feeds

    def book_action(self, action: CorporateActionTerms, at: int) -> None:
        """Book an action. Raises InvalidBacktest for a symbol change."""
        match action.kind:
            case ActionKind.DIVIDEND:
                self._book_dividend(action, at)
            case ActionKind.SPLIT:
                self._book_split(action, at)
            case ActionKind.SYMBOL_CHANGE:
                message = f"{action.symbol} becomes {action.new_symbol} on {action.ex_date}"
                raise InvalidBacktest(f"{message}: end the backtest before that day.")

    def _book_dividend(self, action: CorporateActionTerms, at: int) -> None:
        account = self._account
        quantities = [
            position.quantity for key, position in account.positions.items() if key.symbol == action.symbol
        ]
        if not any(quantities):
            return
        rate = account.find_rate(action.currency)
        dividends = [compute_dividend(quantity, action, rate) for quantity in quantities]
        reason = f"Dividend of {sum(quantities, ZERO).normalize():f} {action.symbol}"
        gross = sum((dividend.gross for dividend in dividends), ZERO)
        withheld = sum((dividend.withheld for dividend in dividends), ZERO)
        account.book_movement(BacktestCashMovement(at, MovementKind.DIVIDEND, gross, reason, action.symbol))
        account.book_movement(
            BacktestCashMovement(at, MovementKind.WITHHOLDING, -withheld, reason, action.symbol)
        )

    def _book_split(self, action: CorporateActionTerms, at: int) -> None:
        for key, position in list(self._account.positions.items()):
            if key.symbol == action.symbol and position.quantity:
                self._split_position(key, position, action, at)
        self._feeds[action.symbol].restate(action.ratio)
        self._orders.restate(action.symbol, action.ratio, at)

    def _split_position(
        self, key: SymbolProductKey, position: Position, action: CorporateActionTerms, at: int
    ) -> None:
        fraction = compute_fraction(position.quantity, action.ratio)
        split = Split(action.effective_at, action.ratio)
        self._account.positions[key] = apply_split(position, split)
        if not fraction:
            return
        side, quantity = (Side.SELL if fraction > 0 else Side.BUY), abs(fraction)
        _, value = compute_fraction_price(action, position, quantity)
        reason = f"Cash in lieu of {fraction.normalize():f} {key.symbol}"
        rate = self._account.find_rate(position.currency)
        fill = build_fill(side, quantity, value, position.currency, rate, action.effective_at)
        self._account.book_fraction(key, fill, at, reason)
