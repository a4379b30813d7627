"""The values of portfolios that alerts watch."""

from decimal import Decimal

from app.alerts.rules.conditions import AlertKind
from app.alerts.rules.portfolio_values import PortfolioFigures, PortfolioLimits, compute_alert_values

NO_LIMITS = PortfolioLimits(None, None, None, None)


def build_figures(equity="900", day_pnl="-50", peak="1000", gross="600", net="-400"):
    return PortfolioFigures(*map(Decimal, (equity, day_pnl, peak, gross, net)))


def test_drawdown_is_the_loss_in_percent_of_the_highest_equity():
    values = compute_alert_values(build_figures(), NO_LIMITS)
    assert values == {AlertKind.DAY_PNL: Decimal(-50), AlertKind.DRAWDOWN: Decimal(10)}


def test_limit_use_reports_the_most_used_limit():
    limits = PortfolioLimits(Decimal(1200), Decimal(500), Decimal(200), Decimal(0))
    assert compute_alert_values(build_figures(), limits)[AlertKind.LIMIT_USE] == Decimal(80)


def test_gain_uses_no_loss_limit():
    limits = PortfolioLimits(None, None, Decimal(200), Decimal(200))
    values = compute_alert_values(build_figures(equity="1100", day_pnl="100", peak="1100"), limits)
    assert values[AlertKind.LIMIT_USE] == 0


def test_portfolio_without_equity_has_no_drawdown():
    assert AlertKind.DRAWDOWN not in compute_alert_values(build_figures(equity="-5", peak="0"), NO_LIMITS)
