"""Fan out the P&L of portfolios: each portfolio is valued and serialized once for all connections."""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.errors import OmsError, Unavailable
from app.ledger.queries.portfolios import list_portfolio_summaries, load_portfolios_by_name
from app.ledger.rules.equity import PortfolioValue
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import Valuer, value_statements
from app.money import format_money, shorten_amount
from app.periodic_tasks import repeat
from app.streams.rules.messages import ChannelKind
from app.streams.service.outbox import Outbox
from app.text import name_key

VALUE_SECONDS = 1.0
MAX_PORTFOLIOS = 200  # of a connection that wants all
_ALL_PORTFOLIOS = ""
_LOG = logging.getLogger(__name__)


class PortfolioText(NamedTuple):
    """The value of a portfolio as JSON text, with the name under which it is sent."""

    name: str
    text: str


class _Client:
    """The subscription of a connection: the name keys of portfolios, and the last text sent for each."""

    def __init__(self, tenant_id: int, portfolios: frozenset[str] | None) -> None:
        self.tenant_id, self.portfolios = tenant_id, portfolios
        self.wanted_keys: set[str] = set()
        self.sent_texts: dict[str, str] = {}

    def list_valued_keys(self) -> set[str]:
        """Return the keys to value. A caller limited to portfolios wants those instead of all."""
        if self.portfolios is None or _ALL_PORTFOLIOS not in self.wanted_keys:
            return self.wanted_keys
        return self.wanted_keys - {_ALL_PORTFOLIOS} | set(sorted(self.portfolios)[:MAX_PORTFOLIOS])


class ValueFanout:
    """The values of portfolios for the connections of this process, once a second if they have changed."""

    def __init__(self, readers: Readers, valuer: Valuer, now: Now) -> None:
        self._readers, self._valuer, self._now = readers, valuer, now
        self._clients: dict[Outbox, _Client] = {}

    async def run(self) -> None:
        """Send changed values every second, until canceled."""
        await asyncio.sleep(VALUE_SECONDS)
        await repeat(self.flush, VALUE_SECONDS, "portfolios were not valued", _LOG)

    async def add(
        self, tenant_id: int, outbox: Outbox, names: Iterable[str], portfolios: frozenset[str] | None
    ) -> list[str]:
        """Send the values of portfolios ("": all that the caller may see; name keys, None: all).

        Return the names of those that do not exist or may not be seen. If there are any, nothing is added.
        Raises Unavailable.
        """
        keys = {name_key(name): name for name in names}
        existing_keys = await self._readers.read(
            tenant_id, load_portfolios_by_name, [key for key in keys if key]
        )
        visible = {key for key in existing_keys if portfolios is None or key in portfolios}
        missing = [name for key, name in keys.items() if key and key not in visible]
        if not missing:
            client = self._clients.setdefault(outbox, _Client(tenant_id, portfolios))
            client.wanted_keys |= keys.keys()
        return missing

    def remove(self, outbox: Outbox, names: Iterable[str]) -> None:
        """Send the values of these portfolios no more."""
        client = self._clients.get(outbox)
        if client is not None:
            client.wanted_keys -= {name_key(name) for name in names}
            client.sent_texts.clear()

    def unsubscribe_all(self, outbox: Outbox) -> None:
        """Send no more values to a connection."""
        self._clients.pop(outbox, None)

    async def flush(self) -> None:
        """Value the portfolios that a client subscribed to, and send each connection the changed values.

        A tenant whose portfolios cannot be valued is skipped. Raises Unavailable.
        """
        for tenant_id in {client.tenant_id for client in self._clients.values() if client.wanted_keys}:
            try:
                await self._flush_tenant(tenant_id)
            except Unavailable:  # the database is unavailable for every tenant
                raise
            except OmsError as error:  # the other tenants must get their values
                _LOG.warning("portfolios of a tenant were not valued: %s", error.detail)
            except Exception:  # noqa: BLE001  # the other tenants must get their values
                _LOG.exception("portfolios of a tenant were not valued", extra={"tenant_id": tenant_id})

    async def _flush_tenant(self, tenant_id: int) -> None:
        keys = {
            key
            for client in self._clients.values()
            if client.tenant_id == tenant_id
            for key in client.list_valued_keys()
        }
        texts = await self._readers.read(tenant_id, self._read_values, keys)
        for outbox, client in self._clients.items():
            if client.tenant_id == tenant_id:
                _send_changes(outbox, client, texts)

    def _read_values(
        self, connection: Connection, tenant_id: int, channel_keys: set[str]
    ) -> dict[str, PortfolioText]:
        keys = channel_keys - {_ALL_PORTFOLIOS}
        if _ALL_PORTFOLIOS in channel_keys:
            books = list_portfolio_summaries(connection, tenant_id, None, MAX_PORTFOLIOS, None, None)
            keys |= {name_key(book.name) for book in books}
        portfolios = load_portfolios_by_name(connection, tenant_id, sorted(keys))
        statements = {key: PortfolioStatement(*book) for key, book in portfolios.items()}
        values = value_statements(connection, self._valuer, tenant_id, statements, self._now())
        return {key: _serialize_value(statements[key], value) for key, value in values.items()}


def _send_changes(outbox: Outbox, client: _Client, texts: dict[str, PortfolioText]) -> None:
    changed_texts = {}
    for key, (name, text) in texts.items():
        is_wanted = key in client.wanted_keys or _ALL_PORTFOLIOS in client.wanted_keys
        is_visible = client.portfolios is None or key in client.portfolios
        if is_wanted and is_visible and client.sent_texts.get(key) != text:
            client.sent_texts[key] = changed_texts[name] = text
    if changed_texts:
        outbox.put_items(ChannelKind.PNL, changed_texts)


def _serialize_value(statement: PortfolioStatement, value: PortfolioValue) -> PortfolioText:
    book = statement.summary
    amounts = {
        "equity": value.equity,
        "unrealized_pnl": value.exposure.unrealized_pnl,
        "day_pnl": value.day_pnl,
        "total_pnl": value.total_pnl,
        "gross_exposure": value.exposure.gross,
        "net_exposure": value.exposure.net,
    }
    fields = {
        "portfolio_name": book.name,
        "base_currency": book.base_currency,
        "cash": shorten_amount(book.cash),
        "realized_pnl": shorten_amount(book.realized_pnl),
    }
    fields |= {name: format_money(amount) for name, amount in amounts.items()}
    return PortfolioText(book.name, orjson.dumps(fields).decode())
