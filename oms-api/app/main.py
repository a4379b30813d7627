"""Wiring: `create_app()` puts the parts together. Start by `uvicorn app.main:app` or `python -m app.main`."""

import sys

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from app import __version__
from app.addresses import AddressBook
from app.audit.service import Trail
from app.clock import Now, utc_now
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.tenants import describe_wall
from app.edge import API_PREFIX, COMMON_HEADERS, PRODUCTION_HEADERS, Edge, Message, Receive, Scope, Send
from app.gatekeeping import make_gate, make_limiter, make_sessions
from app.group_commit import GroupCommit
from app.health import routes as health_routes
from app.health.dependencies import Vitals
from app.http_server import allow_many_connections, capped_http
from app.identity.routes import api_keys, roles, tenants, users
from app.identity.routes import audit as audit_routes
from app.identity.routes import auth as auth_routes
from app.identity.service.logins import LogIns
from app.identity.service.once import Administration
from app.identity.service.passwords import Passwords
from app.identity.service.threads import Transactions
from app.identity.service.throttle import Throttle
from app.ledger.routes import export, managing, reading, recording
from app.ledger.rules.tickets import TradeLimits
from app.ledger.service.commands import Command, Recorded, strand_of
from app.ledger.service.desk import Desk
from app.ledger.service.recording import Recording
from app.logs import AccessLog, configure_logging
from app.metrics import Metrics
from app.migrate import is_current
from app.rate_limit import shared_state
from app.startup import CannotStart, Parts, lifespan
from app.wire.docs import OPENAPI_URL, add_docs
from app.wire.handlers import add_error_handlers
from app.wire.openapi import openapi_document
from app.wire.pages import Cursors

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
    writer: GroupCommit[Command, Recorded] = GroupCommit(
        engine, Recording(), settings.write_queue_limit, settings.write_batch_limit, metrics, strand_of
    )
    metrics.watch_queue(lambda: writer.depth)
    transactions, passwords = Transactions(engine), Passwords()
    trail = Trail(engine, now, metrics.audit_dropped)
    sessions = make_sessions(settings, readers, transactions, now)
    limiter, sharing = make_limiter(settings)
    gate = make_gate(settings, engine, readers, transactions, sessions, limiter, trail, now)
    desk = Desk(writer, _limits(settings), now)

    app = Application(
        title="SlackOMS OMS API",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan(
            settings,
            Parts(
                *(engine, readers, writer, trail, access_log, (passwords.close, transactions.close)), sharing
            ),
        ),
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI_URL if settings.docs_enabled else None,
        redirect_slashes=False,
    )
    app.state.gate, app.state.desk, app.state.readers = gate, desk, readers
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
    # `/trades/export` before `/trades/{trade_id}`
    for router in (
        recording.router,
        export.router,
        reading.router,
        managing.router,
        tenants.router,
        users.router,
        roles.router,
        api_keys.router,
        audit_routes.router,
        health_routes.router,
    ):
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(auth_routes.router, prefix=API_PREFIX)
    app.include_router(health_routes.router, include_in_schema=False)
    app.include_router(health_routes.metrics_router)


def _limits(settings: Settings) -> TradeLimits:
    return TradeLimits(settings.max_quantity, settings.max_gmv, settings.min_price, settings.max_price)


def run() -> int:
    """Serve until told to stop."""
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
