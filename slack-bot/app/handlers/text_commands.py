"""Handle `/desk`, `/portfolio` and `/trades`."""

from slack_bolt import Ack, BoltContext

from app.blocks.text import escape
from app.delivery.reply_sender import ReplyAddress
from app.errors import InvalidCommand, QueueFull
from app.forms.text_commands import FORM_VERBS, TextCommand, parse_text_command
from app.handlers.boundary import Body, build_private_response, get_origin, guard_handler
from app.handlers.registry import Handler, HandlerRegistry
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.queries.text_requests import TextRequest, handle_text_request
from app.services.request_forms import open_request_form
from app.services.request_origin import RequestOrigin

HELP_HINT = "`/desk help` shows what you can type."
PREFIXES = {"/desk": "", "/portfolio": "portfolio ", "/trades": "trades "}


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the commands in words of the manifest."""
    for name, prefix in PREFIXES.items():
        handler = _create_handler(services, prefix)
        registry.command(name)(guard_handler(handler, _build_error_response, build_private_response))


def _create_handler(services: Services, prefix: str) -> Handler:
    def handle_text_command(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            command = parse_text_command(prefix + str(body.get("text", "")), services.now())
        except InvalidCommand as error:
            ack(**build_private_response(f"{escape(str(error))} {HELP_HINT}"))
            return
        origin = get_origin(body, context)
        ack()
        if services.recent_deliveries.add(origin.trigger_id):
            try:
                start_request(services, origin, command)
            except QueueFull:
                ack(**build_private_response(failure_messages.BUSY))

    return handle_text_command


def start_request(services: Services, origin: RequestOrigin, command: TextCommand) -> None:
    """Reply to a command, or open its form, on a thread. Raises `QueueFull`."""
    if command.verb in FORM_VERBS:
        services.form_workers.submit(origin.request_id, open_request_form, services, origin, command)
        return
    to = ReplyAddress(origin.user, origin.channel, origin.request_id, origin.response_url)
    request = TextRequest(origin.person, command, to, origin.trigger_id)
    services.query_workers.submit(origin.request_id, handle_text_request, services, request)


def _build_error_response(request_id: str) -> Body:
    sentence = failure_messages.describe_bot_error(request_id, failure_messages.COMMAND_AGAIN)
    return build_private_response(sentence)
