"""Find the connection whose session a price source uses."""

from sqlalchemy import Engine

from app.brokers.queries import list_connections
from app.brokers.rules.connections import AddressPolicy, BrokerName, ConnectionTerms, find_address_problem
from app.brokers.service.credentials import CredentialsUnreadable, build_connection_terms
from app.database import set_all_tenants_scope, snapshot
from app.encryption import EncryptionKeys


def load_price_terms(
    engine: Engine, keys: EncryptionKeys, policy: AddressPolicy, broker: BrokerName
) -> ConnectionTerms | None:
    """Return the terms of the first usable connection to a broker, by tenant and name, or None."""
    with snapshot(engine) as connection:
        connections = list_connections(set_all_tenants_scope(connection))
    for stored in connections:
        if stored.broker != broker:
            continue
        if find_address_problem(broker, stored.base_url, is_live=stored.is_live, policy=policy) is not None:
            continue
        try:
            return build_connection_terms(keys, stored)
        except CredentialsUnreadable:
            continue
    return None
