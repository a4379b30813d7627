"""The cash figures of portfolios: available cash and settled cash."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.ledger.queries.portfolios import PortfolioSummary
from app.ledger.service.cash import BuyingPowers, PortfolioCash
from app.ledger.service.settlement import Settlements


class CashFigures(NamedTuple):
    """Amounts in the portfolio's currency.

    `unsettled` is the amount that later settlements add to the settled cash.
    """

    buying_power: Decimal
    settled: Decimal
    unsettled: Decimal


@dataclass(frozen=True, slots=True)
class CashReader:
    """Reads cash figures. One instance serves a process."""

    settlements: Settlements
    buying_powers: BuyingPowers

    def read(
        self,
        connection: Connection,
        tenant_id: int,
        summaries: Sequence[PortfolioSummary],
        at: datetime,
        long_only: Collection[int] = (),
    ) -> dict[int, CashFigures]:
        """Return the figures of a tenant's portfolios, by portfolio id.

        `long_only` are the ids of portfolios without a short position, whose positions need not be read.
        """
        cash = [
            PortfolioCash(
                tenant_id,
                summary.id,
                summary.base_currency,
                Decimal(summary.cash),
                summary.id not in long_only,
            )
            for summary in summaries
        ]
        powers = self.buying_powers(connection, cash, at) if cash else {}
        return {
            summary.id: CashFigures(
                powers[summary.id], *self.settlements.compute_cash(connection, tenant_id, summary, at)
            )
            for summary in summaries
        }
