"""Wiring: `create_app()` puts the parts together. Start by `uvicorn app.main:app` or `python -m app.main`."""

import sys
from typing import cast

from fastapi import FastAPI
from typing_extensions import override

from app import __version__
from app.addresses import AddressBook
from app.audit.service import Trail
from app.brokers.paper.configured import paper_settings
from app.clock import Now, utc_now
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.changes import Changes
from app.database.tenants import describe_wall
from app.edge import API_PREFIX, COMMON_HEADERS, PRODUCTION_HEADERS, Edge, Message, Receive, Scope, Send
from app.events import routes as event_routes
from app.events.service.feed import Feed
from app.gatekeeping import make_gate, make_limiter, make_sessions
from app.group_commit import GroupCommit
from app.health import routes as health_routes
from app.health.dependencies import Vitals
from app.identity.routes import api_keys, roles, tenants, users
from app.identity.routes import audit as audit_routes
from app.identity.routes import auth as auth_routes
from app.identity.service.logins import LogIns
from app.identity.service.once import Administration
from app.identity.service.passwords import Passwords
from app.identity.service.threads import Transactions
from app.identity.service.throttle import Throttle
from app.instruments import routes as instrument_routes
from app.ledger.routes import export, managing, positions, reading, recording
from app.ledger.rules.tickets import TradeLimits
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Recorded
from app.ledger.service.desk import Desk
from app.ledger.service.recording import Recording
from app.logs import AccessLog, configure_logging
from app.market_data import routes as market_data_routes
from app.market_data.service import Market
from app.market_data.sources import SOURCES, PriceSource
from app.metrics import Metrics
from app.migrate import is_current
from app.orders.routes import placing
from app.orders.routes import reading as order_reading
from app.orders.service.commands import Command, Outcome, strand_of
from app.orders.service.desk import OrderDesk
from app.orders.service.duty import MarketDuty
from app.orders.service.flattening import Flattening
from app.orders.service.floor import Floor
from app.orders.service.scene import Tools
from app.rate_limit import shared_state
from app.risk import routes as risk_routes
from app.risk.queries.switches import opening_state
from app.risk.service.board import SwitchBoard
from app.risk.service.controls import Controls
from app.startup import CannotStart, Parts, lifespan
from app.wire.docs import OPENAPI_URL, add_docs
from app.wire.handlers import add_error_handlers
from app.wire.openapi import openapi_document
from app.wire.pages import Cursors
from app.wire.seals import Seals

ROUTERS = (
    *(recording.router, export.router, reading.router),  # `/trades/export` before `/trades/{trade_id}`
    *(managing.router, positions.router, placing.router, order_reading.router),
    *(instrument_routes.router, market_data_routes.router, risk_routes.router, event_routes.router),
    *(tenants.router, users.router, roles.router, api_keys.router, audit_routes.router, auth_routes.router),
    health_routes.router,
)
_DESCRIPTION = """
Trades, portfolios and positions of a trading desk. Send your key in `X-API-Key`.

Amounts go out as strings and come in as strings or plain JSON numbers.
Errors are problem documents (RFC 9457).
A POST with an `Idempotency-Key` may be repeated: the same key and body give the same answer.
"""


class Application(FastAPI):
    """FastAPI behind the edge, which is the outermost layer: past every middleware of the framework."""

    edge: Edge

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            send = _without_traceback(send)
        await self.edge(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as FastAPI alone would."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None, now: Now = utc_now) -> FastAPI:
    """Return the application. Raises ConfigurationError where the settings do not do."""
    settings = settings or load_settings()
    configure_logging(settings.logs_as_json, settings.log_level)
    metrics, access_log = Metrics(), AccessLog(settings.logs_as_json)
    engine = connect_engine(
        settings.database_url, settings.reader_threads, settings.database_timeout_seconds, walled=True
    )
    readers = Readers(engine, settings.reader_threads)
    market, controls = Market(_price_source(settings), readers), Controls()
    tools = Tools(market, controls, paper_settings(settings))
    floor = Floor(Recording(opening_state=opening_state), tools)
    writer: GroupCommit[Command, Outcome] = GroupCommit(
        engine, floor, settings.write_queue_limit, settings.write_batch_limit, metrics, strand_of
    )
    metrics.watch_queue(lambda: writer.depth)
    desk = Desk(cast("GroupCommit[LedgerCommand, Recorded]", writer), _limits(settings), now)
    order_desk = OrderDesk(writer, market, now)
    changes = Changes(engine)
    duty = MarketDuty(readers, writer, market, now, is_delayed=settings.paper_latency_milliseconds > 0)
    transactions, passwords = Transactions(engine), Passwords()
    trail = Trail(engine, now, metrics.audit_dropped)
    sessions = make_sessions(settings, readers, transactions, now)
    limiter, sharing = make_limiter(settings)
    gate = make_gate(settings, engine, readers, transactions, sessions, limiter, trail, now)

    app = Application(
        title="SlackOMS OMS API",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan(
            settings,
            Parts(
                *(engine, readers, writer, trail, access_log),
                (passwords.close, transactions.close, changes.close),
                sharing,
                (duty.run,),
            ),
        ),
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI_URL if settings.docs_enabled else None,
        redirect_slashes=False,
    )
    app.state.gate, app.state.desk, app.state.readers = gate, desk, readers
    app.state.order_desk, app.state.publish_quote = order_desk, order_desk.publish
    app.state.market, app.state.controls, app.state.changes = market, controls, changes
    flatten = Flattening(order_desk, readers).flatten
    app.state.switch_board = SwitchBoard(changes, controls, flatten=flatten)
    app.state.feed, app.state.seals = Feed(readers), Seals(settings.oms_api_key)
    app.state.sessions, app.state.passwords = sessions, passwords
    app.state.log_ins = LogIns(sessions, passwords, Throttle(), trail, readers, transactions, now)
    secrets = tuple(filter(None, (settings.oms_api_key, settings.oms_api_key_previous)))
    app.state.administration = Administration(transactions, passwords, secrets, now)
    app.state.cursors, app.state.now = Cursors(settings.oms_api_key), now
    app.state.vitals = Vitals(
        *(readers, is_current, describe_wall, lambda: writer.alive, metrics, now),
        lambda: shared_state(limiter, sharing),
    )
    _add_routes(app)
    add_error_handlers(app)
    if settings.docs_enabled:
        add_docs(app)
    fast = {
        ("POST", recording.TRADE_PATH): recording.fast_report(gate, desk),
        ("POST", placing.ORDERS_PATH): placing.fast_place(gate, order_desk),
        ("GET", reading.PORTFOLIO_PATH): reading.fast_portfolio(gate, readers),
    }
    headers = PRODUCTION_HEADERS if settings.environment == "production" else COMMON_HEADERS
    addresses = AddressBook(settings.trusted_proxies)
    app.edge = Edge(
        app.framework, metrics, access_log, now, fast, headers, addresses, settings.body_timeout_seconds
    )
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]  # the documented way to extend it
    return app


def _without_traceback(send: Send) -> Send:
    """A start that is refused for a known reason tells that reason, and nothing of the code."""

    async def tell(message: Message) -> None:
        refusal = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and isinstance(refusal, CannotStart):
            message = {**message, "message": str(refusal)}
        await send(message)

    return tell


def _add_routes(app: FastAPI) -> None:
    for router in ROUTERS:
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(health_routes.router, include_in_schema=False)
    app.include_router(health_routes.metrics_router)


def _price_source(settings: Settings) -> PriceSource:
    make = SOURCES.get(settings.price_source)
    if make is None:
        raise ConfigurationError(f"PRICE_SOURCE must be one of {', '.join(sorted(SOURCES))}")
    return make(settings.simulation_seed)


def _limits(settings: Settings) -> TradeLimits:
    return TradeLimits(settings.max_quantity, settings.max_gmv, settings.min_price, settings.max_price)


def run() -> int:
    """Serve until told to stop."""
    # Who imports the application may have a server of their own: a tenth of a second that they do without.
    import uvicorn  # noqa: PLC0415  # as said

    from app.http_server import allow_many_connections, capped_http  # noqa: PLC0415  # as said

    try:
        settings = load_settings()
        app = create_app(settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    allow_many_connections()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=capped_http(settings.header_timeout_seconds, settings.body_timeout_seconds),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=20,
    )
    return 0


def __getattr__(name: str) -> FastAPI:
    """Make `app` when uvicorn asks for `app.main:app`, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        application = create_app()
    except ConfigurationError as error:
        raise SystemExit(f"{error}") from None
    globals()["app"] = application
    return application


if __name__ == "__main__":
    sys.exit(run())
