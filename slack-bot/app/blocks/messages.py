"""Build messages: confirmations, help and private notices.

The `text` of each message is complete without its blocks, because notifications show only the text.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.blocks.text import Json, build_section, escape, format_code, format_literal
from app.blocks.trade_buttons import build_trade_buttons
from app.forms.numbers import format_grouped, format_money
from app.forms.ticket import Trade

USAGE = """\
`/trade` opens the trade form, `/trade AAPL` opens it for a symbol.
`/trade buy 100 AAPL @ 175 in Growth` fills it in: 100 at 175 each, in Growth. You still check and place it.
`/trade help` shows this."""

HELP = f"""\
*Trading from Slack*
{USAGE}
GMV is the gross market value, quantity × price per share.
A placed trade is confirmed in the channel where the command was typed; only you see errors.
Clicking the button twice, or a repeated delivery by Slack, records one trade."""

HELP_HINT = "`/trade help` shows more."


@dataclass(frozen=True)
class Message:
    """A message to send.

    Notifications show `text`; Slack displays `blocks`. `trade_id` is set for a confirmation only, `order_id`
    for the message of an order, `approval_id` for the request to approve it.
    """

    text: str
    blocks: tuple[Json, ...]
    trade_id: str = ""
    order_id: str = ""
    approval_id: str = ""


def build_notice(sentence: str) -> Message:
    """Return a message with one sentence in mrkdwn."""
    return Message(sentence, (build_section(sentence),))


def add_hint(message: Message, hint: str) -> Message:
    """Return the message with a sentence in mrkdwn appended."""
    return replace(message, text=f"{message.text}\n{hint}", blocks=(*message.blocks, build_section(hint)))


def add_reference(sentence: str, reference: str) -> str:
    """Append the request id, which is also in the logs of the bot and of the OMS."""
    return f"{sentence} Reference: {format_code(reference)}"


def build_confirmation(trade: Trade, user: str) -> Message:
    """Return the confirmation of a trade that `user` (a Slack user id) placed, with its buttons."""
    message = build_notice("\n".join(build_confirmation_lines(trade, user)))
    return replace(
        message, blocks=(*message.blocks, build_trade_buttons(trade, user)), trade_id=trade.trade_id
    )


def build_confirmation_lines(trade: Trade, user: str) -> list[str]:
    """Return four lines: the trade, its price, the user and time, and the resulting position."""
    what = f"{escape(trade.side)} {format_grouped(trade.quantity)} {escape(trade.symbol)}"
    return [
        f"*{what}* in {format_literal(trade.portfolio)} · {format_code(trade.trade_id)}",
        f"Price per share {format_money(trade.price)} · GMV {format_money(trade.gmv)}",
        f"By <@{escape(user)}> · {format_local_time(trade.timestamp)}",
        f"Resulting position: {_format_position(trade)}",
    ]


def format_time(timestamp: str) -> str:
    """Format an ISO 8601 instant in UTC for display. Return unreadable text unchanged."""
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return escape(timestamp)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_local_time(instant: str) -> str:
    """Return an instant that Slack shows in the time zone of each reader, else in UTC."""
    fallback = format_time(instant)
    try:
        seconds = int(datetime.fromisoformat(instant).timestamp())
    except ValueError:
        return fallback
    return f"<!date^{seconds}^{{date_short_pretty}} at {{time}}|{fallback}>"


def _format_position(trade: Trade) -> str:
    if trade.position_quantity == 0:
        return f"flat in {escape(trade.symbol)}"
    return (
        f"{format_grouped(trade.position_quantity)} {escape(trade.symbol)}, "
        f"average cost {format_money(trade.position_average_cost)}"
    )
