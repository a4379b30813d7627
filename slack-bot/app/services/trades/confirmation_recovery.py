"""Send pending confirmations, after reading the recorded trades from the OMS."""

import logging
import time

from app.blocks import views
from app.blocks.messages import Message, add_hint, build_confirmation, build_notice
from app.delivery.confirmation_store import PendingConfirmation, UnresolvedConfirmation
from app.delivery.message_sender import Recipient
from app.errors import OmsError, OmsForbidden, SlackError
from app.forms.context import FormContext
from app.forms.numbers import format_grouped
from app.forms.ticket import Trade
from app.oms_client import Person
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.trades.submitted_trade import TradeSubmission

log = logging.getLogger(__name__)

# A request reaches the OMS within 16 seconds. The OMS sends no COMMIT later than 13 seconds after that, and
# knows its outcome 11 seconds later. Until then, a person who was told to trade again would trade twice.
NOT_RECORDED_AFTER_SECONDS = 60.0
MAX_AGE_SECONDS = 24 * 3600.0  # older confirmations are dropped


def build_pending_confirmation(services: Services, submitted: TradeSubmission) -> PendingConfirmation:
    """Return the confirmation to store before the trade is sent."""
    ticket = submitted.ticket
    origin = submitted.origin
    now = time.time()
    response_url, seconds_left = services.urls.get(submitted.root_view_id)
    quantity = format_grouped(ticket.quantity)
    return PendingConfirmation(
        key=submitted.key,
        submitted_at=now,
        team=origin.person.team,
        user=origin.person.user,
        channel=submitted.context.channel or origin.channel,
        view_id=submitted.view_id,
        root_view_id=submitted.root_view_id,
        request_id=origin.request_id,
        order_text=f"{ticket.side.value} {quantity} {ticket.symbol} in {ticket.portfolio}",
        response_url=response_url,
        response_url_expires_at=now + seconds_left,
    )


def run_recovery(services: Services) -> None:
    """Recover confirmations repeatedly until the bot stops."""
    while not services.stopping.is_set():
        recover_confirmations(services, time.time())
        services.stopping.wait(services.waits.recovery_every)


def recover_confirmations(services: Services, now: float) -> None:
    """Look up every unresolved confirmation in the OMS, and send the confirmations of recorded trades."""
    if removed := services.confirmations.remove_submitted_before(now - MAX_AGE_SECONDS):
        log.warning("Confirmations given up", extra={"count": removed})
    for unresolved in services.confirmations.list_unresolved(services.team):
        extra = {"request_id": unresolved.pending.request_id, "key": unresolved.pending.key}
        try:
            _recover_confirmation(services, unresolved, now)
        except OmsForbidden as error:
            log.info("Confirmation not recovered", extra=extra | {"fault": str(error)})
        except OmsError as error:
            log.info("Confirmation not recovered", extra=extra | {"fault": str(error)})
            return  # the OMS would not respond to the other lookups either
        except Exception:  # one failure must not end the thread
            log.exception("Confirmation not recovered", extra=extra)


def _recover_confirmation(services: Services, unresolved: UnresolvedConfirmation, now: float) -> None:
    pending = unresolved.pending
    trade = services.oms.find_trade(
        Person(pending.team, pending.user), pending.key, request_id=pending.request_id
    )
    if trade is None and now < pending.submitted_at + NOT_RECORDED_AFTER_SECONDS:
        return
    claim = services.confirmations.claim_unresolved(pending)
    if claim is None:
        return
    if now < pending.response_url_expires_at:
        services.urls.remember(
            pending.root_view_id, pending.response_url, pending.response_url_expires_at - now
        )
    to = Recipient(pending.user, pending.channel, pending.root_view_id, pending.request_id, claim)
    message = _build_message(pending, trade)
    if unresolved.is_interrupted:
        if trade is not None and services.slack.find_posted(pending.channel, message, pending.submitted_at):
            claim.finish()
            return
        message = add_hint(message, failure_messages.POSSIBLE_REPEAT_HINT)
    extra = {"request_id": pending.request_id, "key": pending.key, "recorded": trade is not None}
    log.info("Confirmation recovered", extra=extra)
    if trade is None:
        services.message_sender.send_privately(to, message)
    else:
        services.message_sender.post_to_channel(to, message)
        _redraw_form(services, pending, trade)


def _build_message(pending: PendingConfirmation, trade: Trade | None) -> Message:
    if trade is None:
        sentence = failure_messages.describe_unrecorded_trade(
            pending.order_text, pending.request_id, failure_messages.TRADE_AGAIN
        )
        return build_notice(sentence)
    return build_confirmation(trade, pending.user)


def _redraw_form(services: Services, pending: PendingConfirmation, trade: Trade) -> None:
    """Replace the view "Placing…" with the result. The person may have closed the form."""
    try:
        services.slack.update_view(
            pending.view_id, views.build_placed_view(trade, pending.user, FormContext(pending.channel))
        )
    except SlackError as error:
        log.info("Form not redrawn", extra={"request_id": pending.request_id, "fault": str(error)})
