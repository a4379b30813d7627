"""Handle `/trade` and `/trade-help`."""

from slack_bolt import Ack, App, BoltContext

from app.blocks.messages import HELP, MORE, notice
from app.blocks.text import escape
from app.errors import BadCommand, Saturated
from app.forms.command import HelpWanted, parse_command
from app.handlers.boundary import Body, guarded, origin_of
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.open_form import open_form


def register(app: App, services: Services) -> None:
    """Register the commands of the manifest."""

    def trade(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            wanted = parse_command(str(body.get("text", "")))
        except BadCommand as fault:
            _reply(ack, f"{escape(str(fault))} {MORE}")
            return
        if isinstance(wanted, HelpWanted):
            _reply(ack, HELP)
            return
        origin = origin_of(body, context)
        ack()
        if not services.seen.first(origin.trigger_id):
            return
        try:
            services.opening.submit(origin.request_id, open_form, services, origin, wanted)
        except Saturated:
            _reply(ack, failure_messages.BUSY)

    @guarded
    def trade_help(ack: Ack, _body: Body, _context: BoltContext) -> None:
        _reply(ack, HELP)

    app.command("/trade")(guarded(trade, _apology, _private))
    app.command("/trade-help")(trade_help)


def _reply(ack: Ack, text: str) -> None:
    """Answer the command so that only the person sees it. This replaces an earlier answer of `ack()`."""
    ack(**_private(text))


def _apology(request_id: str) -> Body:
    return _private(failure_messages.went_wrong(request_id))


def _private(text: str) -> Body:
    message = notice(text)
    return {"text": message.text, "blocks": list(message.blocks), "response_type": "ephemeral"}
