"""Runs the sessions with Interactive Brokers, in a separate process: `python -m app.brokers.ibkr`.

Only the database connects it to the API. Start any number of these processes: one at a time runs a session.
Exit status: 0 stopped by SIGTERM or SIGINT, 2 the settings or the database are not usable.
"""

import asyncio
import importlib.util
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial

from app.assembly.components import Components, assemble
from app.assembly.security import create_broker_address_policy, create_broker_key_ring
from app.assembly.startup import CannotStart, lifespan
from app.brokers.ibkr.factory import create_broker
from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection
from app.brokers.rules.connections import BrokerName, ConnectionTerms
from app.brokers.service.account_checks import open_broker
from app.clock import SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.logs import AccessLog, configure_logging
from app.order_routing.service.environment_connections import (
    IbkrVariables,
    build_ibkr_connection,
    save_environment_connection,
)
from app.order_routing.service.replacement_chains import load_chains
from app.order_routing.service.session_runner import SessionRunner
from app.reconciliation.service.reconciler import Reconciler

STOPPED, CANNOT = 0, 2
_NOT_INSTALLED_MESSAGE = "ib_async is not installed: run `pip install -r requirements-ibkr.txt`."


def create_ibkr_runner(components: Components) -> SessionRunner:
    """Return the runner of the sessions with IBKR, and of no other broker."""
    settings, engine, now = components.settings, components.engine, components.now
    keys, policy = create_broker_key_ring(settings), create_broker_address_policy(settings)

    def prepare() -> None:
        variables = IbkrVariables(settings.ib_host, settings.ib_port, settings.ib_account)
        if any(variables):
            save_environment_connection(engine, keys, build_ibkr_connection(variables), now())

    def create(stored_connection: StoredConnection, terms: ConnectionTerms) -> Broker:
        chains = partial(load_chains, engine, stored_connection.tenant_id, stored_connection.name)
        return create_broker(terms, settings.ib_client_id, chains)

    return SessionRunner(
        engine,
        components.readers,
        components.writer,
        lambda stored_connection: open_broker(
            stored_connection, keys, policy, partial(create, stored_connection)
        ),
        components.broker_notifier,
        now,
        prepare,
        Reconciler(engine, now).run,
        timedelta(seconds=settings.reconcile_interval_seconds),
        serves_broker=lambda broker: broker == BrokerName.IBKR,
    )


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the sessions until `stop` is set. Raises CannotStart or ConfigurationError."""
    components = assemble(settings, SteadyClock(), AccessLog(settings.logs_as_json))
    parts = replace(
        components.build_managed_components(), background_tasks=(create_ibkr_runner(components).run,)
    )
    async with lifespan(settings, parts)(None):
        await stop.wait()


async def serve_until_signal(settings: Settings) -> None:
    """Run the sessions until SIGTERM or SIGINT."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def main() -> int:
    """Run until a signal arrives, and return the exit status."""
    if importlib.util.find_spec("ib_async") is None:
        sys.stderr.write(f"{_NOT_INSTALLED_MESSAGE}\n")
        return CANNOT
    try:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        asyncio.run(serve_until_signal(settings))
    except (ConfigurationError, CannotStart) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    return STOPPED
