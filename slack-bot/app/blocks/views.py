"""Build the views that replace the form while a trade is processed, and afterwards."""

from app.blocks.messages import build_confirmation_lines
from app.blocks.text import Json, build_plain_text, build_section
from app.forms.context import FormContext
from app.forms.ticket import Trade


def build_placing_view(context: FormContext) -> Json:
    """Return the view to show until the OMS responds."""
    return _build_notice_view(
        "Placing…",
        "The trading system has not responded yet. The result will be shown here. "
        "If you close this view, you get a message.",
        context,
    )


def build_checking_view(context: FormContext) -> Json:
    """Return the view to show while the bot looks up whether the OMS recorded the trade."""
    sentence = (
        "*Outcome unknown, checking.* The trade was sent, but no response arrived. "
        "The app is checking whether it was recorded, and does not send it again."
    )
    return _build_notice_view("Checking…", sentence, context)


def build_placed_view(trade: Trade, user: str, context: FormContext) -> Json:
    """Return the view of a trade that was recorded after the bot had responded to the submission."""
    return _build_notice_view("Trade placed", "\n".join(build_confirmation_lines(trade, user)), context)


def build_traded_before_view(text: str, context: FormContext) -> Json:
    """Return the view of a form that had traded before its entries were changed."""
    return _build_notice_view("Traded already", text, context)


def build_failed_view(text: str) -> Json:
    """Return the view to push over a form when the bot failed to process its submission."""
    return _build_notice_view("Outcome unknown", text, FormContext(""), close="Back")


def build_refused_view(text: str) -> Json:
    """Return the view to show when the person may not trade. It replaces the form or is pushed over it."""
    return _build_notice_view("Not allowed", text, FormContext(""))


def build_working_view() -> Json:
    """Return the view to show until the OMS responds to a request about an existing order or trade."""
    return _build_notice_view(
        "Working…",
        "The trading system has not responded yet. The result will be shown here.",
        FormContext(""),
    )


def build_done_view() -> Json:
    """Return the view of a request that was carried out after the bot had responded."""
    return _build_notice_view("Done", "Done. See the message in the channel.", FormContext(""))


def build_busy_view() -> Json:
    """Return the view to push over a form that was not processed because no worker was free."""
    text = "The app is busy, and nothing was sent. Please go back and try again in a few seconds."
    return _build_notice_view("Busy", text, FormContext(""), close="Back")


def _build_notice_view(title: str, text: str, context: FormContext, close: str = "Close") -> Json:
    return {
        "type": "modal",
        "title": build_plain_text(title),
        "close": build_plain_text(close),
        "private_metadata": context.dump(),
        "blocks": [build_section(text)],
    }
