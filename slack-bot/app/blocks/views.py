"""Build the views that replace the form while a trade is processed, and afterwards."""

from app.blocks.messages import confirmation_lines
from app.blocks.text import Json, plain_text, section
from app.forms.context import FormContext
from app.forms.ticket import Trade


def placing_view(context: FormContext) -> Json:
    """Return the view to show until the OMS answers."""
    return _notice(
        "Placing…",
        "The trading system has not answered yet. The result will be shown here. "
        "If you close this view, you get a message.",
        context,
    )


def checking_view(context: FormContext) -> Json:
    """Return the view to show while the bot looks up whether the OMS recorded the trade."""
    sentence = (
        "*Not known yet, checking.* The trade was sent, and the answer did not come. "
        "It is being looked up, and is not sent again."
    )
    return _notice("Checking…", sentence, context)


def placed_view(trade: Trade, user: str, context: FormContext) -> Json:
    """Return the view of a trade that was recorded after the bot had answered the submission."""
    return _notice("Trade placed", "\n".join(confirmation_lines(trade, user)), context)


def traded_before_view(text: str, context: FormContext) -> Json:
    """Return the view of a form that had traded before its entries were changed."""
    return _notice("Traded already", text, context)


def failed_view(text: str) -> Json:
    """Return the view to push over a form when the bot failed to process its submission."""
    return _notice("Not known", text, FormContext(""), close="Back")


def refused_view(text: str) -> Json:
    """Return the view to show when the person may not trade. It replaces the form or is pushed over it."""
    return _notice("Not allowed", text, FormContext(""))


def working_view() -> Json:
    """Return the view to show until the OMS answers a request about an existing order or trade."""
    return _notice(
        "Working…", "The trading system has not answered yet. The result will be shown here.", FormContext("")
    )


def done_view() -> Json:
    """Return the view of a request that was carried out after the bot had answered."""
    return _notice("Done", "This was done. The message in the channel shows it.", FormContext(""))


def busy_view() -> Json:
    """Return the view to push over a form that was not processed because no worker was free."""
    text = "The app is busy, and nothing was sent. Please go back and try again in a few seconds."
    return _notice("Busy", text, FormContext(""), close="Back")


def _notice(title: str, text: str, context: FormContext, close: str = "Close") -> Json:
    return {
        "type": "modal",
        "title": plain_text(title),
        "close": plain_text(close),
        "private_metadata": context.dump(),
        "blocks": [section(text)],
    }
