"""Stop and resume trading, and keep a banner in the channel while trading is stopped."""

from app.blocks.kill_switch_forms import (
    EVERYTHING,
    FLATTEN,
    STATES,
    build_halt_banner,
    build_resumed_banner,
    describe_result,
    get_switch_value,
)
from app.errors import InvalidEntries
from app.forms import action_ids
from app.services.clients import create_client
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission
from app.services.kill_switches.banners import announce_switch
from app.services.request_forms import SAME_PERSON, list_restricting

CONFIRM_FLATTEN = "Tick this to close every position, or choose another way to stop trading."


def stop_trading(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Set a kill switch to REDUCING or HALTED. Raises `InvalidEntries` or `OmsError`."""
    entries = submission.entries
    scope = entries.get(action_ids.SCOPE, "")
    mode = entries.get(action_ids.MODE, "")
    if mode not in STATES or not scope:
        raise InvalidEntries({action_ids.MODE: "Choose how trading is stopped."})
    if mode == FLATTEN and entries.get(action_ids.FLATTEN_OK) != "yes":
        raise InvalidEntries({action_ids.FLATTEN_OK: CONFIRM_FLATTEN})
    reason = _read_reason(submission)
    portfolio = "" if scope == EVERYTHING else scope
    state, exits = STATES[mode]
    client = create_client(services, submission.origin)
    actor = submission.origin.person.actor
    banner = build_halt_banner(portfolio, state, actor, reason)
    with announce_switch(
        services, submission.origin, submission.context.channel, portfolio, banner, is_end=False
    ):
        result = client.set_switch(portfolio, state, exits, reason, idempotency_key=submission.key)
    return "Trading is stopped", describe_result(portfolio, result)


def resume_trading(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Set a kill switch to ACTIVE. The person who stopped trading may not do so.

    Raises `InvalidEntries` or `OmsError`.
    """
    chosen = submission.entries.get(action_ids.SWITCH, "")
    client = create_client(services, submission.origin)
    actor = submission.origin.person.actor
    stopped = [
        kill_switch
        for kill_switch in list_restricting(client.list_switches())
        if get_switch_value(kill_switch) == chosen
    ]
    if not stopped:
        raise InvalidEntries({action_ids.SWITCH: "This is not stopped any more."})
    if stopped[0].set_by == actor:
        raise InvalidEntries({action_ids.SWITCH: SAME_PERSON})
    reason = _read_reason(submission)
    portfolio = "" if chosen == EVERYTHING else chosen
    banner = build_resumed_banner(portfolio, actor, reason)
    with announce_switch(
        services, submission.origin, submission.context.channel, portfolio, banner, is_end=True
    ):
        result = client.set_switch(portfolio, "ACTIVE", "", reason, idempotency_key=submission.key)
    return "Trading is resumed", describe_result(portfolio, result)


def _read_reason(submission: FormSubmission) -> str:
    reason = " ".join(submission.entries.get(action_ids.REASON, "").split())
    if not reason:
        raise InvalidEntries({action_ids.REASON: "Enter a reason. It is recorded in the audit log."})
    return reason


STOP = FormAction(stop_trading, "the kill switch")
RESUME = FormAction(resume_trading, "the kill switch")
