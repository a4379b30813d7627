"""The values of portfolios that alerts watch."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from app.alerts.rules.conditions import AlertKind
from app.money import ZERO, compute_share

_HUNDRED = Decimal(100)


class PortfolioFigures(NamedTuple):
    """A portfolio at the current marks, in its currency.

    `peak_equity` is the highest equity so far, adjusted by the flows since. `gross` and `net` are exposures
    of its positions.
    """

    equity: Decimal
    day_pnl: Decimal
    peak_equity: Decimal
    gross: Decimal
    net: Decimal


class PortfolioLimits(NamedTuple):
    """The limits of a portfolio in its currency, None where there is none."""

    gross_exposure: Decimal | None
    net_exposure: Decimal | None
    daily_loss: Decimal | None
    drawdown: Decimal | None


def compute_alert_values(figures: PortfolioFigures, limits: PortfolioLimits) -> dict[AlertKind, Decimal]:
    """Return the values that can be computed, by kind of alert. Shares are in percent."""
    values = {AlertKind.DAY_PNL: figures.day_pnl}
    loss = max(figures.peak_equity - figures.equity, ZERO)
    if figures.peak_equity > 0:
        values[AlertKind.DRAWDOWN] = compute_share(_HUNDRED, loss, figures.peak_equity)
    uses = (
        (figures.gross, limits.gross_exposure),
        (abs(figures.net), limits.net_exposure),
        (max(-figures.day_pnl, ZERO), limits.daily_loss),
        (loss, limits.drawdown),
    )
    shares = list(_compute_shares(uses))
    if shares:
        values[AlertKind.LIMIT_USE] = max(shares)
    return values


def _compute_shares(uses: Iterable[tuple[Decimal, Decimal | None]]) -> Iterable[Decimal]:
    for used_amount, limit in uses:
        if limit is not None and limit > 0:
            yield compute_share(_HUNDRED, used_amount, limit)
