"""`/trade` and `/trade-help`."""

from slack_bolt import Ack, App, BoltContext

from app.blocks.messages import HELP, MORE, notice
from app.blocks.text import escape
from app.errors import BadCommand, Saturated
from app.forms.command import HelpWanted, parse_command
from app.handlers.boundary import Body, guarded, origin_of
from app.replies import sentences
from app.replies.desk import Desk
from app.replies.open_form import open_form


def register(app: App, desk: Desk) -> None:
    """Connect the commands of the manifest."""

    def trade(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            wanted = parse_command(str(body.get("text", "")))
        except BadCommand as fault:
            _say(ack, f"{escape(str(fault))} {MORE}")
            return
        if isinstance(wanted, HelpWanted):
            _say(ack, HELP)
            return
        origin = origin_of(body, context)
        ack()
        if not desk.seen.first(origin.trigger_id):
            return
        try:
            desk.opening.submit(origin.request_id, open_form, desk, origin, wanted)
        except Saturated:
            _say(ack, sentences.BUSY)

    @guarded
    def trade_help(ack: Ack, _body: Body, _context: BoltContext) -> None:
        _say(ack, HELP)

    app.command("/trade")(guarded(trade, _apology, _private))
    app.command("/trade-help")(trade_help)


def _say(ack: Ack, text: str) -> None:
    """Answer the command itself, privately; said after `ack()`, it takes that answer's place."""
    ack(**_private(text))


def _apology(request_id: str) -> Body:
    return _private(sentences.went_wrong(request_id))


def _private(text: str) -> Body:
    message = notice(text)
    return {"text": message.text, "blocks": list(message.blocks), "response_type": "ephemeral"}
