"""Start, serve and stop the bot."""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler
from slack_sdk.errors import SlackApiError
from waitress.server import create_server

from app.config import ConfigError, load
from app.server import logs
from app.server.build import Bot, create_bot
from app.server.slack_endpoint import MAX_BODY_BYTES
from app.server.supervision import run_heartbeat, run_supervision, start_threads
from app.services.queries.chart_images import load_matplotlib
from app.storage.database import DatabaseError
from app.storage.encryption import DecryptionFailed

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_CONNECTIONS = 1000
THREADS = 64  # a submission uses one for a second at most
STOP_SECONDS = 5.0
SWITCH_SECONDS = 0.001  # how long a request waits for another thread that computes; Python's default is 0.005
GARBAGE_THRESHOLDS = (50_000, 20, 20)  # allocations; the default 700 collects several times per burst
RECONNECT_SECONDS = 5.0
MAX_CHARTS_SECONDS = 5.0  # the first start on a machine also lists its fonts


def main() -> int:
    """Run the bot until it is stopped. Return the exit status."""
    try:
        settings = load()
        logs.configure_logging(settings.log_format)
        bot = create_bot(settings)
        encrypt_stored_secrets(bot)
    except ConfigError as error:
        sys.stderr.write(f"slack-bot cannot start. {error}\n")
        return 2
    try:
        serve(bot)
    except OSError as error:
        sys.stderr.write(f"slack-bot cannot listen on {settings.host}:{settings.port}: {error.strerror}.\n")
        return 1
    return 0


def encrypt_stored_secrets(bot: Bot) -> None:
    """Encrypt secrets of other keys of the setting with its first key. Raises `ConfigError`."""
    try:
        if count := bot.services.installations.encrypt_again():
            log.info("Workspaces encrypted with the current key", extra={"count": count})
    except DecryptionFailed as error:
        raise ConfigError(
            f"{error} BOT_ENCRYPTION_KEYS must keep earlier keys until the bot has started with the new one."
        ) from None
    except DatabaseError as error:
        log.warning("Stored secrets not checked", extra={"fault": str(error)})


def serve(bot: Bot) -> None:
    """Serve until SIGINT or SIGTERM. Then finish the running requests and send the queued messages."""
    settings = bot.settings
    server = create_server(
        bot.web,
        host=settings.host,
        port=settings.port,
        threads=THREADS,
        max_request_body_size=MAX_BODY_BYTES,
        channel_timeout=30,
        connection_limit=MAX_CONNECTIONS,
        asyncore_use_poll=True,  # select() supports 1,024 files only
        ident="",
        clear_untrusted_proxy_headers=True,
    )
    _stop_on_signals()
    bot.health.refresh()
    load_charts(bot)
    configure_interpreter()
    start_background_work(bot)
    if settings.is_socket_mode:
        _start_thread("socket-mode", connect_forever, bot)
    log.info(
        "Listening",
        extra={"address": f"http://{settings.host}:{settings.port}", "socket_mode": settings.is_socket_mode},
    )
    try:
        server.run()
    finally:
        bot.stop(STOP_SECONDS)
        log.info("Stopped")


def load_charts(bot: Bot) -> None:
    """Load the chart library before the first requests, which its loading would delay.

    After five seconds, the loading continues in the background.
    """
    _start_thread("charts", load_matplotlib, bot.services).join(MAX_CHARTS_SECONDS)


def configure_interpreter() -> None:
    """Set how threads take turns, and exclude the objects of the start from garbage collection.

    There are over 100,000 of these objects with the charts. A full collection scans them for 50 ms, in
    which no request is handled.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _start_thread(name: str, target: Callable[[T], None], argument: T) -> threading.Thread:
    thread = threading.Thread(target=target, args=(argument,), name=name, daemon=True)
    thread.start()
    return thread


def start_background_work(bot: Bot) -> None:
    """Start the threads of the bot, and those of the workspace whose token is in the environment."""
    first = bot.workspaces.first
    if first is not None:
        start_threads(first)
    _start_thread("heartbeat", run_heartbeat, bot.services)
    threading.Thread(
        target=run_supervision, args=(bot.workspaces, bot.services), name="workspaces", daemon=True
    ).start()


def connect_forever(bot: Bot) -> None:
    """Open Slack's WebSocket. Retry until it is open; then the SDK keeps it open."""
    handler = SocketModeHandler(bot.bolt, bot.settings.slack_app_token, concurrency=THREADS)
    while not bot.services.stopping.is_set():
        try:
            handler.client.connect()
        except SlackApiError as error:
            log.error("Slack refused the app token", extra={"fault": str(error.response.get("error"))})  # noqa: TRY400 - the fault is its code
        except OSError as error:
            log.warning("Slack cannot be reached", extra={"fault": type(error).__name__})
        else:
            log.info("Connected by Socket Mode")
            return
        bot.services.stopping.wait(RECONNECT_SECONDS)


def _stop_on_signals() -> None:
    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)  # waitress ends its loop and waits for its threads

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
