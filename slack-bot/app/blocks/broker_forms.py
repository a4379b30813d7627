"""Build the form of the daily login at a broker."""

from collections.abc import Sequence

from app.blocks.form_parts import build_entry, build_modal, build_select
from app.blocks.text import Json, build_option, build_section, escape
from app.forms import action_ids
from app.forms.portfolio_values import BrokerLogin
from app.forms.request_context import RequestContext

MAX_TOKEN_CHARACTERS = 200
STEPS = (
    "Log in at the broker's page. The browser then goes to an address that contains `request_token=…`. "
    "Copy the token, and send it within minutes."
)


def build_login_form(logins: Sequence[BrokerLogin], context: RequestContext) -> Json:
    """Return the form with a link to each broker's page, and an entry for the request token."""
    options = [build_option(broker_login.connection, broker_login.connection) for broker_login in logins]
    initial = options[0] if len(options) == 1 else None
    token = {"type": "plain_text_input", "max_length": MAX_TOKEN_CHARACTERS}
    blocks = [
        build_section("\n".join([STEPS, *map(_format_link, logins)])),
        build_entry(action_ids.CONNECTION, "Connection", build_select(options, initial)),
        build_entry(action_ids.REQUEST_TOKEN, "Request token", token),
    ]
    return build_modal(
        "Log in at a broker", blocks, context, submit="Log in", callback_id=action_ids.LOGIN_FORM
    )


def _format_link(log_in: BrokerLogin) -> str:
    until = f"logged in until {log_in.expires_at[:16]} UTC" if log_in.expires_at else "not logged in"
    return f"• <{escape(log_in.login_url)}|Log in for {escape(log_in.connection)}> ({until})"
