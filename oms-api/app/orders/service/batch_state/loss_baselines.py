"""Read the baselines against which the losses of portfolios are measured."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.ledger.rules.equity import Baseline
from app.money import ZERO
from app.performance.queries import HighestClose, load_baselines, load_highest_closes
from app.risk.queries.losses import read_opening_baselines
from app.risk.rules.losses import LossBaseline


def read_loss_baselines(
    connection: Connection, tenant_id: int, portfolio_ids: Sequence[int]
) -> dict[int, LossBaseline]:
    """Return the baseline of each portfolio: its last close and its highest one.

    Before the first close it is the opening cash with all flows.
    """
    opening = read_opening_baselines(connection, tenant_id, portfolio_ids)
    last = load_baselines(connection, tenant_id, portfolio_ids)
    highest = load_highest_closes(connection, tenant_id, portfolio_ids)
    return {
        portfolio_id: _compute_baseline_since_close(baseline, last[portfolio_id], highest[portfolio_id])
        if portfolio_id in highest
        else baseline
        for portfolio_id, baseline in opening.items()
    }


def _compute_baseline_since_close(
    opening: LossBaseline, last: Baseline, highest: HighestClose
) -> LossBaseline:
    flows = opening.total_equity - highest.opening_cash
    peak = highest.equity - highest.flows - highest.opening_cash
    return LossBaseline(last.equity + flows - last.flows, opening.total_equity, max(peak, ZERO))
