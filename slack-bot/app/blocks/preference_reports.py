"""Build the reply that shows a person's preferences."""

from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.text import escape, literal
from app.forms.portfolio_values import Preferences

MAX_LISTED = 50


def build_settings_reply(preferences: Preferences) -> Reply:
    """Return the preferences of the person."""
    lists = [
        f"{literal(name)}: {escape(', '.join(symbols[:MAX_LISTED]))}"
        for name, symbols in preferences.watchlists.items()
    ]
    lines = [
        "*Your settings*",
        f"Default portfolio: {literal(preferences.default_portfolio or 'none')}",
        f"Order type: {escape(preferences.order_type)} · time in force: {escape(preferences.time_in_force)}",
        f"Numbers: {escape(preferences.number_format)} · time zone: {escape(preferences.time_zone)}",
        f"Quiet hours: {escape(preferences.quiet_hours or 'none')}",
        f"Watchlists: {'; '.join(lists) or 'none'}",
        "They are changed over REST (`PUT /preferences`). `watch AAPL` adds to your watchlist.",
    ]
    return build_sentence_reply("\n".join(lines))
