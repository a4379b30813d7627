"""Builds the application: `create_app()` connects its parts.

Start it with `uvicorn app.main:app` or `python -m app.main`.
"""

import sys
from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from typing_extensions import override

from app import __version__
from app.addresses import AddressResolver
from app.alerts import routes as alert_routes
from app.assembly.application_state import list_state
from app.assembly.components import Components, assemble
from app.assembly.portfolio_partitions import build_forwarder
from app.assembly.startup import CannotStart, Forwarding, lifespan, raise_file_limit
from app.backtests import routes as backtest_routes
from app.brokers import routes as broker_routes
from app.calendars import routes as calendar_routes
from app.clock import Now, SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.corporate_actions import routes as corporate_action_routes
from app.costs import routes as cost_routes
from app.day_close import routes as day_close_routes
from app.error_reports import configure_error_reports
from app.events import routes as event_routes
from app.exports import routes as export_routes
from app.forwarding import ForwardedExchange, Forwarder, worker_directory
from app.health import routes as health_routes
from app.http.csv_lists import send_as_accepted
from app.http.docs import OPENAPI_URL, add_docs
from app.http.handlers import add_error_handlers
from app.http.methods import METHOD_TABLE, MethodTable
from app.http.openapi import build_openapi_document
from app.http_server.request_body import AsgiMessage, Receive
from app.http_server.request_middleware import (
    API_PREFIX,
    COMMON_HEADERS,
    PRODUCTION_HEADERS,
    AsgiScope,
    RequestMiddleware,
    Send,
)
from app.identity.routes import api_keys, roles, slack_settings, tenants, users, workspaces
from app.identity.routes import audit as audit_routes
from app.identity.routes import auth as auth_routes
from app.instruments import routes as instrument_routes
from app.jobs import routes as job_routes
from app.ledger.routes import cash, export, portfolio_management, portfolios, positions, trade_reports, trades
from app.logs import AccessLog, configure_logging
from app.market_data.routes import prices as price_routes
from app.market_data.routes import subscriptions as subscription_routes
from app.orders.routes import approvals, order_entry, order_queries, position_orders
from app.performance import routes as performance_routes
from app.preferences import routes as preference_routes
from app.reconciliation import routes as reconciliation_routes
from app.reports import routes as report_routes
from app.risk import routes as risk_routes
from app.signals.routes import hooks as signal_hook_routes
from app.signals.routes import signals as signal_routes
from app.signals.routes import strategies as signal_strategy_routes
from app.signals.routes import trading as trading_routes
from app.strategies import routes as strategy_routes
from app.streams import routes as stream_routes
from app.webhooks import routes as webhook_routes

ROUTERS = (
    trade_reports.router, export.router, trades.router,  # `/trades/export` must precede `/trades/{trade_id}`
    portfolios.router,
    performance_routes.router,
    portfolio_management.router, cash.router, positions.router, order_entry.router, position_orders.router,
    order_queries.router,
    approvals.router,
    signal_strategy_routes.router, signal_hook_routes.router, signal_routes.router, trading_routes.router,
    instrument_routes.router, price_routes.router, subscription_routes.router, risk_routes.router,
    event_routes.router,
    strategy_routes.router, backtest_routes.router, stream_routes.router, webhook_routes.router,
    broker_routes.router, broker_routes.sessions_router, reconciliation_routes.router,
    calendar_routes.router, corporate_action_routes.router, report_routes.router, export_routes.router,
    preference_routes.router, alert_routes.router, day_close_routes.router,
    tenants.router, workspaces.router, slack_settings.router, users.router, roles.router,
    api_keys.router, audit_routes.router, auth_routes.router,
    cost_routes.router, job_routes.router, health_routes.router,
)  # fmt: skip
WORKER_START_SECONDS = 60  # after which a worker process is restarted that does not answer its supervisor
_DESCRIPTION = """
Trades, portfolios and positions of a trading desk. Send your key in `X-API-Key`.

Responses contain amounts as strings. Requests may contain them as strings or as plain JSON numbers.
Errors are problem documents (RFC 9457).
You can safely repeat a POST with an `Idempotency-Key`: the same key and body return the same response.
"""


class Application(FastAPI):
    """FastAPI inside `RequestMiddleware`, which is outside of all middleware of the framework."""

    request_middleware: RequestMiddleware

    @override
    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            send = _replace_traceback(send)
        await self.request_middleware(scope, receive, send)

    async def serve_by_framework(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve a request by FastAPI, without the wrapping middleware."""
        await super().__call__(scope, receive, send_as_accepted(scope, send))


def create_app(settings: Settings | None = None, now: Now | None = None) -> FastAPI:
    """Return the application. Raises ConfigurationError if the settings are invalid."""
    settings = settings or load_settings()
    configure_logging(settings.logs_as_json, settings.log_level)
    configure_error_reports(settings)
    components = assemble(settings, now or SteadyClock(), AccessLog(settings.logs_as_json))
    forwarder = build_forwarder(settings, components.authentication, components.metrics)

    def serve_forwarded(exchange: ForwardedExchange) -> None:
        app.request_middleware.start_forwarded_exchange(exchange)

    forwarding = None if forwarder is None else Forwarding(forwarder, serve_forwarded)
    app = Application(
        title="SlackOMS OMS API",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan(settings, components.build_managed_components(), forwarding),
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI_URL if settings.docs_enabled else None,
        redirect_slashes=False,
    )
    for name, value in list_state(components):
        setattr(app.state, name, value)
    _add_routes(app)
    add_error_handlers(app)
    if settings.docs_enabled:
        add_docs(app)
    app.request_middleware = _create_request_middleware(app, components, forwarder)
    app.openapi = lambda: build_openapi_document(app)  # type: ignore[method-assign]  # the documented way to extend it
    return app


def _create_request_middleware(
    app: Application, components: Components, forwarder: Forwarder | None
) -> RequestMiddleware:
    settings, authentication = components.settings, components.authentication
    async_direct_routes = {
        ("GET", portfolios.PORTFOLIO_PATH): portfolios.build_portfolio_route(
            authentication, components.readers, components.cash_reader, components.valuer, components.now
        )
    }
    report = trade_reports.build_record_trade_endpoint(components.trade_service)
    place = order_entry.build_place_order_endpoint(components.order_service)
    signal = signal_routes.build_signal_endpoint(components.signals).build_direct_route(authentication)
    direct_routes = {
        ("POST", trade_reports.TRADE_PATH): report.build_direct_route(authentication),
        ("POST", order_entry.ORDERS_PATH): place.build_direct_route(authentication),
        **dict.fromkeys((("POST", path) for path in signal_routes.SIGNAL_PATHS), signal),
    }
    headers = PRODUCTION_HEADERS if settings.environment == "production" else COMMON_HEADERS
    return RequestMiddleware(
        app.serve_by_framework,
        components.metrics,
        components.access_log,
        components.now,
        async_direct_routes,
        headers,
        AddressResolver(settings.trusted_proxies),
        settings.body_timeout_seconds,
        direct_routes,
        forwarder,
    )


def _replace_traceback(send: Send) -> Send:
    """Replace the traceback of a refused start by its message."""

    async def send_message(message: AsgiMessage) -> None:
        error = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CannotStart):
            message = {**message, "message": str(error)}
        await send(message)

    return send_message


def _add_routes(app: FastAPI) -> None:
    app.router.routes.extend(_list_included())
    setattr(app.state, *METHOD_TABLE.build_state_entry(MethodTable(API_PREFIX, ROUTERS)))


@cache
def _list_included() -> Sequence[BaseRoute]:
    """Return the routes of every application of this process.

    FastAPI analyses them again when they are first matched, which takes 0.2 s.
    """
    included = APIRouter()
    for router in ROUTERS:
        included.include_router(router, prefix=API_PREFIX)
    included.include_router(health_routes.router, include_in_schema=False)
    included.include_router(health_routes.metrics_router)
    return tuple(included.routes)


def run() -> int:
    """Serve until stopped."""
    # Importing uvicorn takes 0.1 s that other importers of this module save.
    import uvicorn  # noqa: PLC0415  # see above

    from app.http_server.protocol import LimitedHttpProtocol, set_timeouts  # noqa: PLC0415  # see above

    try:
        settings = load_settings()
        # Worker processes create the application themselves, by its import string.
        app = "app.main:app" if settings.web_concurrency > 1 else create_app(settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    raise_file_limit()
    set_timeouts(
        settings.header_timeout_seconds, settings.body_timeout_seconds, settings.write_timeout_seconds
    )
    with worker_directory():
        uvicorn.run(
            app,
            workers=settings.web_concurrency,
            host=settings.host,
            port=settings.port,
            http=LimitedHttpProtocol,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=20,
            timeout_worker_healthcheck=WORKER_START_SECONDS,
        )
    return 0


def __getattr__(name: str) -> FastAPI:
    """Create `app` when uvicorn requests `app.main:app`, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    # A program that requests `app` has already loaded uvicorn.
    from app.http_server.protocol import install_http_protocol, set_timeouts  # noqa: PLC0415  # see above

    try:
        settings = load_settings()
        application = create_app(settings)
        set_timeouts(
            settings.header_timeout_seconds, settings.body_timeout_seconds, settings.write_timeout_seconds
        )
        install_http_protocol()
        raise_file_limit()
    except ConfigurationError as error:
        raise SystemExit(f"{error}") from None
    globals()["app"] = application
    return application


if __name__ == "__main__":
    sys.exit(run())
