"""Explain the P&L of a portfolio's day: prices, currencies, carry, fees and adjustments add up to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.cash import FLOWS, CashKind
from app.ledger.rules.equity import CurrencyValue
from app.money import ZERO, multiply
from app.reports.rules.values import UsedRate

_FEES = frozenset({CashKind.CHARGES, CashKind.DP_CHARGES})
_DIVIDENDS = frozenset({CashKind.DIVIDEND, CashKind.WITHHOLDING})


class DayEdge(NamedTuple):
    """A portfolio at the start or the end of a day.

    `currencies` are the market values of its positions in other currencies.
    """

    equity: Decimal
    flows: Decimal
    currencies: Mapping[str, CurrencyValue]


class ExplainedTrade(NamedTuple):
    """A row of the ledger. `cash` is its effect in the portfolio's currency before charges.

    `currency` is None if it trades in the portfolio's currency, else `local_cash` is its effect in `currency`
    and `rate` the exchange rate of the booking.
    """

    currency: str | None
    cash: Decimal
    charges: Decimal
    local_cash: Decimal
    rate: Decimal | None


class BookedMovement(NamedTuple):
    """A row of the cash ledger."""

    kind: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of a P&L, each signed, in one currency."""

    price: Decimal
    currency: Decimal
    interest: Decimal
    borrow: Decimal
    dividends: Decimal
    fees: Decimal
    adjustments: Decimal

    @property
    def carry(self) -> Decimal:
        """Interest, borrow fees and dividends."""
        return self.interest + self.borrow + self.dividends

    @property
    def total(self) -> Decimal:
        """The P&L."""
        return self.price + self.currency + self.carry + self.fees + self.adjustments

    def convert(self, rate: Decimal) -> "Explanation":
        """Return the parts at an exchange rate, each rounded; their sum is the total."""
        return Explanation(*(multiply(getattr(self, name), rate) for name in self.__slots__))

    def add(self, other: "Explanation") -> "Explanation":
        """Return the sums of the parts."""
        return Explanation(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


NO_EXPLANATION = Explanation(*[ZERO] * 7)


class ExplainedDay(NamedTuple):
    """The P&L of a portfolio from one close to the next, or until now.

    `start` is None if the portfolio had no close before.
    """

    portfolio_name: str
    currency: str
    start: datetime | None
    end: datetime
    parts: Explanation


class ExplanationReport(NamedTuple):
    """Explained days. `total` is in the tenant's currency, None if a currency has no rate to it."""

    days: list[ExplainedDay]
    currency: str
    total: Explanation | None
    rates: list[UsedRate]


def explain_day(
    start: DayEdge,
    end: DayEdge,
    rates: Mapping[str, Decimal],
    trades: Sequence[ExplainedTrade],
    movements: Iterable[BookedMovement],
) -> Explanation:
    """Return the parts of a day's P&L.

    The P&L of a position in another currency is split: the P&L in its currency, at the rate of the end
    (`rates`), is due to prices, and the rest to the exchange rate. `trades` and `movements` belong to the
    day. The rest of the P&L after all other parts is due to prices.
    """
    total = end.equity - start.equity - (end.flows - start.flows)
    sums: dict[str, Decimal] = {}
    for kind, amount in movements:
        sums[kind] = sums.get(kind, ZERO) + amount
    fees = sum((sums.get(kind, ZERO) for kind in _FEES), ZERO) - sum(
        (trade.charges for trade in trades), ZERO
    )
    interest, borrow = sums.get(CashKind.INTEREST, ZERO), sums.get(CashKind.BORROW, ZERO)
    dividends = sum((sums.get(kind, ZERO) for kind in _DIVIDENDS), ZERO)
    cash_kinds = {CashKind.INTEREST, CashKind.BORROW, *_FEES, *_DIVIDENDS, *FLOWS}
    adjustments = sum((amount for kind, amount in sums.items() if kind not in cash_kinds), ZERO)
    currency = _explain_currencies(start, end, rates, trades)
    price = total - currency - interest - borrow - dividends - fees - adjustments
    return Explanation(
        price=price,
        currency=currency,
        interest=interest,
        borrow=borrow,
        dividends=dividends,
        fees=fees,
        adjustments=adjustments,
    )


def list_currencies(start: DayEdge, end: DayEdge, trades: Iterable[ExplainedTrade]) -> list[str]:
    """Return the other currencies of a day's positions and trades."""
    traded_currencies = {trade.currency for trade in trades if trade.currency is not None}
    return sorted({*start.currencies, *end.currencies, *traded_currencies})


def choose_end_rate(
    currency: str, end: DayEdge, quoted_rate: Decimal | None, trades: Iterable[ExplainedTrade]
) -> Decimal | None:
    """Return the rate of a currency at the end of a day: the rate of the positions, else of the quote.

    Without both it is the rate of the last trade, and None if there is none.
    """
    currency_value = end.currencies.get(currency)
    if currency_value is not None and currency_value.rate is not None:
        return currency_value.rate
    if quoted_rate is not None:
        return quoted_rate
    return next((trade.rate for trade in reversed(list(trades)) if trade.currency == currency), None)


def _explain_currencies(
    start: DayEdge, end: DayEdge, rates: Mapping[str, Decimal], trades: Sequence[ExplainedTrade]
) -> Decimal:
    total, zero_value = ZERO, CurrencyValue(ZERO, ZERO, None)
    for currency in list_currencies(start, end, trades):
        rate = rates.get(currency)
        if rate is None:
            continue
        before, after = start.currencies.get(currency, zero_value), end.currencies.get(currency, zero_value)
        earned_amount, local_amount = after.value - before.value, after.local - before.local
        for trade in trades:
            if trade.currency == currency:
                earned_amount, local_amount = earned_amount + trade.cash, local_amount + trade.local_cash
        total += earned_amount - multiply(local_amount, rate)
    return total
