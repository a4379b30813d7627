"""Log in at a broker whose sessions end every day."""

from app.blocks.text import format_literal
from app.errors import InvalidEntries
from app.forms import action_ids
from app.services.clients import create_client
from app.services.dependencies import Services
from app.services.forms.submission import FormAction, FormSubmission


def create_session(services: Services, submission: FormSubmission) -> tuple[str, str]:
    """Exchange the request token for the session of the day. Raises `InvalidEntries` or `OmsError`."""
    connection = submission.entries.get(action_ids.CONNECTION, "")
    token = submission.entries.get(action_ids.REQUEST_TOKEN, "").strip()
    if not connection:
        raise InvalidEntries({action_ids.CONNECTION: "Choose a connection."})
    if not token:
        raise InvalidEntries({action_ids.REQUEST_TOKEN: "Copy the token from the address in your browser."})
    expires_at = create_client(services, submission.origin).create_broker_session(
        connection, token, idempotency_key=submission.key
    )
    until = expires_at[:16].replace("T", " ")
    return "Logged in", f"{format_literal(connection)} is logged in until {until} UTC."


LOGIN = FormAction(create_session, "the login at brokers")
