"""Request backtests for people in Slack, and send them the results."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from app.blocks.backtest_reports import build_backtest_reply, describe_backtest_event
from app.blocks.messages import build_notice
from app.blocks.replies import Reply
from app.blocks.text import format_literal
from app.delivery.message_sender import Recipient
from app.delivery.reply_sender import ReplyAddress
from app.errors import InvalidEntries, OmsError, QueueFull, SlackError, format_log_name
from app.forms import action_ids
from app.forms.strategy_values import BacktestRequest
from app.forms.text import InvalidName, parse_symbol
from app.oms_client import Person
from app.oms_client.strategy_client import StrategyClient
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission
from app.services.pending_notices import send_notice, store_notice
from app.services.queries.chart_images import add_chart_images

log = logging.getLogger(__name__)

FAILED = "failed"
REQUESTED = "The backtest of *{name}* is queued. You get the result as a direct message."
CHOOSE_STRATEGY = "Choose a strategy."
CHOOSE_DAY = "Choose a day."
WRONG_ORDER = "The last day must not be before the first day."


def request_backtest(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Request the backtest of a submitted form. Raises `InvalidEntries` or `OmsError`."""
    entries = submission.entries
    strategy = submission.context.subject or entries.get(action_ids.BACKTEST_STRATEGY, "")
    if not strategy:
        raise InvalidEntries({action_ids.BACKTEST_STRATEGY: CHOOSE_STRATEGY})
    first_day = _read_day(entries, action_ids.BACKTEST_FIRST_DAY)
    last_day = _read_day(entries, action_ids.BACKTEST_LAST_DAY)
    if last_day < first_day:
        raise InvalidEntries({action_ids.BACKTEST_LAST_DAY: WRONG_ORDER})
    request = BacktestRequest(strategy, first_day, last_day, _read_symbols(entries))
    origin = submission.origin
    client = StrategyClient(services.oms, origin.person, origin.request_id)
    client.request_backtest(request, idempotency_key=submission.key)
    return "Backtest requested", REQUESTED.format(name=format_literal(strategy))


def send_backtest_result(
    services: Services, person: Person, payload: Mapping[str, Any], event_id: str
) -> None:
    """Notify a person the result of a backtest. Return at once.

    A sentence is stored first. If the bot is killed before it has sent the numbers, the person gets it.
    """
    text = describe_backtest_event(payload)
    key = f"{event_id}:{person.user}"
    to = Recipient(person.user, "", "", event_id)
    if payload.get("status") == FAILED:
        send_notice(services, to, text, key)
        return
    to = store_notice(services, to, text, key)
    try:
        backtest_id = str(payload.get("backtest_id") or "")
        services.query_workers.submit(event_id, _send_result, services, person, backtest_id, to)
    except QueueFull:
        services.message_sender.send_privately(to, build_notice(text))


def _send_result(services: Services, person: Person, backtest_id: str, to: Recipient) -> None:
    """Send the numbers and the picture. If this fails, the stored sentence is sent later."""
    try:
        reply = _load_result(services, person, backtest_id, to.request_id)
        channel = services.slack.open_direct_channel(person.user)
    except (OmsError, SlackError) as error:
        log.warning("Result not sent", extra={"request_id": to.request_id, "fault": format_log_name(error)})
        return
    address = ReplyAddress(person.user, channel, to.request_id, is_direct=True, claim=to.claim)
    services.reply_sender.send(address, reply)


def _load_result(services: Services, person: Person, backtest_id: str, request_id: str) -> Reply:
    """Return the result with an image, or with Slack's chart where there is none. Raises `OmsError`."""
    client = StrategyClient(services.oms, person, request_id)
    backtest = client.get_backtest(backtest_id)
    points = client.list_backtest_equities(backtest_id)
    drawn = add_chart_images(services, build_backtest_reply(backtest, points, is_for_image=True), request_id)
    return replace(build_backtest_reply(backtest, points), images=drawn.images)


def _read_day(entries: Mapping[str, str], block_id: str) -> date:
    try:
        return date.fromisoformat(entries.get(block_id, ""))
    except ValueError:
        raise InvalidEntries({block_id: CHOOSE_DAY}) from None


def _read_symbols(entries: Mapping[str, str]) -> tuple[str, ...]:
    symbols = entries.get(action_ids.BACKTEST_SYMBOLS, "").replace(",", " ").split()
    try:
        return tuple(dict.fromkeys(map(parse_symbol, symbols)))
    except InvalidName as error:
        raise InvalidEntries({action_ids.BACKTEST_SYMBOLS: str(error)}) from None


BACKTEST = FormAction(request_backtest, "backtests")
