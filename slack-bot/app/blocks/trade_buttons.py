"""Build the buttons under a recorded trade, and the form that reverses it."""

from app.blocks.inputs import build_input, build_text_input
from app.blocks.text import Json, build_plain_text, build_section
from app.forms.ticket import MAX_NOTE_CHARACTERS, Trade
from app.forms.trade_buttons import REASON, REASON_ACTION, REVERSAL_FORM, ReversalContext, build_again_value

REVERSE, AGAIN = "trade_undo", "trade_again"  # the ids in messages that are already posted


def build_trade_buttons(trade: Trade, user: str) -> Json:
    """Return the block with the buttons of a trade that `user` reported."""
    reversal = ReversalContext(trade.trade_id, user, trade.timestamp).dump()
    return {
        "type": "actions",
        "block_id": "trade_actions",
        "elements": [
            _build_button(REVERSE, "Reverse trade", reversal),
            _build_button(AGAIN, "Trade again", build_again_value(trade)),
        ],
    }


def build_reversal_form(context: ReversalContext, problem: str = "") -> Json:
    """Return the form that asks for the reason of a reversal. `problem` is mrkdwn."""
    entry = build_text_input(REASON_ACTION, "", "", MAX_NOTE_CHARACTERS)
    return {
        "type": "modal",
        "callback_id": REVERSAL_FORM,
        "title": build_plain_text("Reverse trade"),
        "submit": build_plain_text("Reverse trade"),
        "close": build_plain_text("Keep it"),
        "private_metadata": context.dump(),
        "blocks": [
            *([build_section(problem)] if problem else []),
            build_section(f"A reversal is recorded for this trade:\n{context.text}"),
            build_input(REASON, "Reason", entry),
        ],
    }


def _build_button(action_id: str, label: str, value: str) -> Json:
    return {"type": "button", "action_id": action_id, "text": build_plain_text(label), "value": value}
