"""Let people take and resolve differences from brokers' books."""

import logging

from app.blocks.messages import build_notice
from app.blocks.reconciliation import ACTION, build_issue_form, read_issue_value
from app.errors import InvalidEntries, OmsError, format_log_name
from app.forms import action_ids
from app.forms.request_context import RequestContext
from app.services import failure_messages
from app.services.clicked_message import ClickedMessage
from app.services.clients import create_client
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission
from app.services.forms.views import open_view
from app.services.request_failures import describe_failure
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

PERMISSION = "the reconciliation with brokers"
TAKEN = "Taken in Slack"
REASON_REQUIRED = "Enter a reason. It is recorded in the audit log."


def assign_issue(services: Services, origin: RequestOrigin, value: str, _clicked: ClickedMessage) -> None:
    """Make the person the owner of an issue. The event of the OMS redraws the card."""
    issue_id, _ = read_issue_value(value)
    try:
        create_client(services, origin).resolve_issue(
            issue_id, "assign", TAKEN, idempotency_key=f"{origin.person.team}:{issue_id}:{origin.user}"
        )
    except OmsError as error:
        log.warning("Not taken", extra={"request_id": origin.request_id, "fault": format_log_name(error)})
        sentence = describe_failure(error, origin.request_id, permission=PERMISSION)
        services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(sentence))


def open_issue_form(services: Services, origin: RequestOrigin, value: str, clicked: ClickedMessage) -> None:
    """Open the form that resolves an issue."""
    issue_id, proposed = read_issue_value(value)
    context = RequestContext(clicked.channel, issue_id)
    open_view(services, origin, build_issue_form(issue_id, proposed, context), failure_messages.CLICK_AGAIN)


def resolve_issue(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Resolve the issue of a submitted form. Raises `InvalidEntries` or `OmsError`."""
    reason = " ".join(submission.entries.get(action_ids.REASON, "").split())
    if not reason:
        raise InvalidEntries({action_ids.REASON: REASON_REQUIRED})
    create_client(services, submission.origin).resolve_issue(
        submission.context.subject,
        submission.entries.get(ACTION, ""),
        reason,
        idempotency_key=submission.key,
    )
    return "Done", "The card in the channel shows the result."


RESOLVE = FormAction(resolve_issue, PERMISSION)
