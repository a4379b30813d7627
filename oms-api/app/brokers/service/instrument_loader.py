"""Load the instruments of brokers into those of the tenants that have a connection: a job."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection, Engine

from app.audit.queries.entries import list_actions
from app.brokers.errors import BrokerUnavailable
from app.brokers.queries import StoredConnection, list_connections
from app.brokers.rules.connections import (
    AddressPolicy,
    BrokerName,
    ConnectionStatus,
    find_address_problem,
)
from app.clock import Now
from app.database import set_all_tenants_scope, set_tenant_scope, unit_of_work
from app.identity.queries.tenants import lock_tenant
from app.instruments import queries
from app.instruments.rules import Instrument, InstrumentKey, get_trading_currency
from app.instruments.service import FindCurrencies
from app.jobs.service import Lease

DumpFetchers = Mapping[str, Callable[[str], dict[str, Instrument]]]  # by broker; raises BrokerUnavailable
_LOG = logging.getLogger(__name__)


class InstrumentLoader:
    """Keeps tick size, lot size, exchange and name of instruments as the broker has them.

    Terms that a person set are left alone, and so are symbols that are aliases, or whose currency would
    change while positions or open orders exist.
    """

    def __init__(
        self,
        engine: Engine,
        dumps: DumpFetchers,
        policy: AddressPolicy,
        find_currencies: FindCurrencies,
        now: Now,
    ) -> None:
        self._engine, self._dumps, self._policy = engine, dumps, policy
        self._find_currencies, self._now = find_currencies, now

    def load(self, lease: Lease) -> None:
        """Load the dump of each address once, for each tenant that is connected to it."""
        with unit_of_work(self._engine) as connection:
            connections = list_connections(set_all_tenants_scope(connection))
        connections_by_dump = {
            (
                stored_connection.broker,
                stored_connection.base_url,
                stored_connection.tenant_id,
            ): stored_connection
            for stored_connection in connections
            if self._is_usable(stored_connection)
        }
        dumps: dict[str, dict[str, Instrument]] = {}
        for (broker, base_url, tenant_id), stored in connections_by_dump.items():
            try:
                if base_url not in dumps:
                    dumps[base_url] = self._dumps[broker](base_url)
            except BrokerUnavailable as error:
                _LOG.warning("the instruments of %s were not loaded: %s", stored.name, error)
                continue
            lease.renew()
            self._save(tenant_id, dumps[base_url], self._now())

    def _is_usable(self, stored: StoredConnection) -> bool:
        if stored.broker not in self._dumps or stored.status == ConnectionStatus.AWAITING_LIVE:
            return False
        broker = BrokerName(stored.broker)
        problem = find_address_problem(broker, stored.base_url, is_live=stored.is_live, policy=self._policy)
        return problem is None

    def _save(self, tenant_id: int, dump: Mapping[str, Instrument], now: datetime) -> None:
        with unit_of_work(self._engine) as connection:
            set_tenant_scope(connection, [tenant_id])
            lock_tenant(connection, tenant_id)
            keys = [InstrumentKey(tenant_id, symbol) for symbol in dump]
            stored = queries.load_instruments(connection, keys)
            aliases = {key.symbol for key in queries.load_symbols_by_alias(connection, keys)}
            symbols_set_by_people = aliases | {
                entry.target for entry in list_actions(connection, "instrument.set")
            }
            changed = []
            for key in keys:
                terms = _merge(stored[key], dump[key.symbol])
                if key.symbol in symbols_set_by_people or terms == stored[key]:
                    continue
                if self._keeps_currency(connection, key, stored[key], terms):
                    changed.append(terms)
            queries.set_all_terms(connection, tenant_id, changed, now)
        _LOG.info("%d of %d instruments were added or changed", len(changed), len(dump))

    def _keeps_currency(
        self, connection: Connection, key: InstrumentKey, stored: Instrument, terms: Instrument
    ) -> bool:
        """Return whether positions and open orders keep the currency that they are traded in."""
        if stored.is_listed and stored.currency == terms.currency:
            return True
        bases = self._find_currencies(connection, *key)
        return all(get_trading_currency(stored, base) == get_trading_currency(terms, base) for base in bases)


def _merge(stored: Instrument, terms: Instrument) -> Instrument:
    """Return the terms of the broker with the fields that only this service knows."""
    return terms._replace(
        sector=stored.sector, is_tradable=stored.is_tradable, is_restricted=stored.is_restricted
    )
