"""One order's way to the ledger: price check, placing, looking up what became of it, telling."""

import logging
import time
from dataclasses import replace

from app.blocks import views
from app.blocks.messages import confirmation, confirmation_lines, notice
from app.blocks.text import Json
from app.errors import KeyTaken, OmsError, OutcomeUnknown, Refused, SlackError, SlackRateLimited, named
from app.forms.ticket import Trade
from app.replies import outcomes, sentences
from app.replies.claims import Outcome, Submission
from app.replies.confirmation_recovery import build_owed_confirmation
from app.replies.desk import Desk
from app.replies.doubts import list_questions
from app.replies.order import Order

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 5.0  # that a redraw waits out a 429


def carry_out(desk: Desk, order: Order, submission: Submission) -> None:
    """Place the order once and see that it is told, whatever happens on the way."""
    extra = {"request_id": order.origin.request_id, "key": order.key, "person": order.origin.person.actor}
    try:
        outcome = _place(desk, order, submission)
    except Exception:  # the edge of a thread: somebody waits for an outcome
        log.exception("Submission failed", extra=extra)
        outcome = outcomes.unknown(order.ticket, order.context, order.origin.request_id)
    log.info("Submission ended", extra=extra | {"placed": outcome.placed, "unsettled": outcome.unsettled})
    desk.confirmations.release(order.key, is_unknown=outcome.unsettled)
    if desk.claims.settle(submission, outcome) and not _redraw(desk, order, submission, outcome.view):
        _tell_outcome(desk, order, outcome)


def _place(desk: Desk, order: Order, submission: Submission) -> Outcome:
    request_id = order.origin.request_id
    try:
        questions = list_questions(desk, order)
        if (questions or order.context.unsettled) and (trade := _find(desk, order)):
            return _told_again(desk, order, trade)
        if questions:
            return outcomes.asked(order.ticket, order.context, questions)
        desk.confirmations.add(build_owed_confirmation(desk, order))
        result = desk.oms.place(order.origin.person, order.ticket, key=order.key, request_id=request_id)
    except OutcomeUnknown as fault:
        log.warning("Outcome not known", extra={"request_id": request_id, "fault": str(fault)})
        return _look_up(desk, order, submission)
    except OmsError as fault:
        log.warning("Not placed", extra={"request_id": request_id, "fault": named(fault)})
        if isinstance(fault, (Refused, KeyTaken)):
            return _denied(desk, order, fault)
        return outcomes.failed(fault, order.ticket, order.context, request_id)
    return (_told_again if result.replayed else _confirmed)(desk, order, result.trade)


def _denied(desk: Desk, order: Order, fault: OmsError) -> Outcome:
    """Say a denial; but if this form has traded before, tell that trade: another press must not add one.

    Only where it certainly has not does the next press get a key of its own.
    """
    request_id, after = order.origin.request_id, order.context
    try:
        trade = desk.oms.find(order.origin.person, order.key, request_id=request_id)
    except OmsError as silence:
        log.info("Key not looked up", extra={"request_id": request_id, "fault": str(silence)})
    else:
        if trade:
            return _told_again(desk, order, trade)
        after = order.context.denied()
    if isinstance(fault, KeyTaken):  # what this process did not send it owes no confirmation for
        return replace(outcomes.unknown(order.ticket, order.context, request_id), unsettled=False)
    return outcomes.failed(fault, order.ticket, after, request_id)


def _look_up(desk: Desk, order: Order, submission: Submission) -> Outcome:
    """Ask what became of the key until it is known or the time is over; nothing is sent again."""
    submission.waiting_view = views.checking(order.context)
    if submission.late_since() is not None:
        _redraw(desk, order, submission, submission.waiting_view)
    until = time.monotonic() + desk.waits.lookup_for
    while (trade := _find(desk, order)) is None:
        if time.monotonic() >= until or desk.stopping.wait(desk.waits.lookup_every):
            return outcomes.unknown(order.ticket, order.context, order.origin.request_id)
    return (_confirmed if _became(desk, order, trade) else _told_again)(desk, order, trade)


def _find(desk: Desk, order: Order) -> Trade | None:
    try:
        return desk.oms.find(order.origin.person, order.key, request_id=order.origin.request_id)
    except OmsError as fault:
        log.info("Still not known", extra={"request_id": order.origin.request_id, "fault": str(fault)})
        return None


def _became(desk: Desk, order: Order, trade: Trade) -> bool:
    """Whether the trade is what was ordered, also where an alias of its symbol was typed."""
    asked = order.ticket.symbol
    if asked == trade.symbol or not order.became(replace(trade, symbol=asked)):
        return order.became(trade)
    origin = order.origin
    try:
        found = desk.oms.find(origin.person, order.key, symbol=asked, request_id=origin.request_id)
    except OmsError:
        return False
    return found is not None


def _confirmed(desk: Desk, order: Order, trade: Trade) -> Outcome:
    to = order.origin.address(order.context.channel, order.root_view_id)
    receipt = desk.confirmations.claim(order.key)
    desk.postman.confirm(replace(to, receipt=receipt), confirmation(trade, order.origin.user))
    return outcomes.placed(trade, order.origin.user, order.context)


def _told_again(desk: Desk, order: Order, trade: Trade) -> Outcome:
    """An earlier press placed this. The channel is told if it was not told then, else the person alone."""
    to = order.origin.address(order.context.channel, order.root_view_id)
    text = "\n".join(confirmation_lines(trade, order.origin.user))
    owed = desk.confirmations.claim_owed(order.key)
    if owed:
        desk.postman.confirm(replace(to, receipt=owed), confirmation(trade, order.origin.user))
    if _became(desk, order, trade):
        if not owed:
            desk.postman.tell(to, notice(sentences.already_placed(text)))
        return outcomes.placed(trade, order.origin.user, order.context)
    told = sentences.traded_before(text)
    desk.postman.tell(to, notice(told))
    return outcomes.traded_before(told, order.context)


def _redraw(desk: Desk, order: Order, submission: Submission, view: Json) -> bool:
    """Draw over the answer that a late delivery got; returns whether the person can see it."""
    late_since = submission.late_since() or 0.0
    desk.stopping.wait(max(0.0, late_since + desk.waits.redraw_after - time.monotonic()))
    try:
        _update_patiently(desk, order.view_id, view)
    except SlackError as fault:
        log.info("Form not redrawn", extra={"request_id": order.origin.request_id, "fault": str(fault)})
        return False
    return True


def _update_patiently(desk: Desk, view_id: str, view: Json) -> None:
    try:
        desk.slack.update_view(view_id, view)
    except SlackRateLimited as limit:
        desk.stopping.wait(min(limit.retry_after_seconds, LONGEST_PAUSE_SECONDS))
        desk.slack.update_view(view_id, view)


def _tell_outcome(desk: Desk, order: Order, outcome: Outcome) -> None:
    if outcome.notice:  # a placed trade is told by its confirmation
        to = order.origin.address(order.context.channel, order.root_view_id)
        desk.postman.tell(to, notice(outcome.notice))
