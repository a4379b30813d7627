"""Export a tenant's ledger as JSON Lines, portfolio by portfolio, in sequence."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.audit.rules.export_verification import serialize_line
from app.ledger.queries import exports as queries
from app.ledger.queries.exports import LedgerHead
from app.ledger.rules.chain import COLUMNS, TradeRow

ROWS_PER_CHUNK = 500  # rows read at once, some 500 KB


class LedgerExport:
    """Read ledgers in chunks up to `heads`. Rows never change, so that the chunks are one snapshot."""

    def __init__(self, tenant_id: int, heads: Sequence[LedgerHead], chunk: int = ROWS_PER_CHUNK) -> None:
        self._tenant_id = tenant_id
        self._heads = heads
        self._chunk = chunk
        self._portfolio = 0  # index into `heads`
        self._after = 0

    def read(self, connection: Connection) -> bytes:
        """Return the next lines, empty at the end."""
        rows: list[TradeRow] = []
        portfolio, after = self._portfolio, self._after
        while portfolio < len(self._heads) and len(rows) < self._chunk:
            head = self._heads[portfolio]
            row_count = self._chunk - len(rows)
            rows += queries.list_rows_between(
                connection, self._tenant_id, head.portfolio_id, after, head.sequence, row_count
            )
            after += row_count
            if after >= head.sequence:
                portfolio, after = portfolio + 1, 0
        lines = b"".join(serialize_line(COLUMNS, row) for row in rows)
        self._portfolio, self._after = portfolio, after  # set at the end, because a read may be retried
        return lines
