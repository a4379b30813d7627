"""The commands that a person can type, by the scopes of the person."""

from typing import NamedTuple

from app.forms.portfolio_values import Member


class HelpLine(NamedTuple):
    """A command with its effect. `scopes`: the person needs one of them, if any is named."""

    command: str
    effect: str
    scopes: tuple[str, ...] = ()


LINES = (
    HelpLine("/order", "place an order", ("trade",)),
    HelpLine("/trade", "report a trade that was made elsewhere", ("trade",)),
    HelpLine("/portfolio [name]", "equity, cash, P&L and positions of a portfolio; without a name, of all"),
    HelpLine(
        "/trades [buy|sell] [AAPL] [today|2026-11] [mine] [in Growth]",
        "trades, newest first; `mine`: those you reported, and the fills of your orders",
    ),
    HelpLine("/desk positions [AAPL] [in Growth]", "open positions, with their stops and targets"),
    HelpLine("/desk orders [AAPL] [buy|sell] [mine] [all] [in Growth]", "working orders, or all orders"),
    HelpLine("/desk pnl [in Growth]", "profit and loss today and in all"),
    HelpLine("/desk quote AAPL MSFT", "bid, ask, last and age"),
    HelpLine("/desk risk [in Growth]", "kill switches, exposure and limits"),
    HelpLine("/desk approvals", "orders that wait for your decision", ("trade", "approve", "risk")),
    HelpLine(
        "/desk alert AAPL above 200 [repeat]",
        "a direct message at a price, with `share` one in the channel; also `pnl`, `drawdown`, `limit`",
    ),
    HelpLine("/desk alerts", "your alerts"),
    HelpLine("/desk watch [AAPL MSFT]", "quotes of your watchlist; with symbols, adds them"),
    HelpLine("/desk strategies", "strategies with status and P&L; start, pause or change them"),
    HelpLine("/desk backtest trend", "run a strategy on past prices; you get the result", ("trade",)),
    HelpLine("/desk settings", "change your preferences: defaults, numbers, quiet hours, direct messages"),
    HelpLine(
        "/desk export trades [2026-11] [in Growth]",
        "a CSV file; also `orders`, `positions`, `pnl`, `cash`, `charges`, `risk`",
    ),
    HelpLine("/desk cancel [all|AAPL|order id] [in Growth]", "cancel working orders", ("trade", "risk")),
    HelpLine("/desk close [100] AAPL [in Growth]", "close a position", ("trade",)),
    HelpLine("/desk halt [in Growth]", "stop trading: reduce only, halt or flatten", ("risk", "admin")),
    HelpLine("/desk resume", "resume trading that another person halted", ("risk", "admin")),
    HelpLine("/desk login", "log in at brokers whose sessions end every day", ("risk", "admin")),
)
FOOTER = (
    "Only you see the replies, unless you add `share` at the end.\n"
    "In threads, mention me: `@SlackOMS positions`. In a direct message, type `positions`."
)


def list_help_lines(member: Member | None) -> list[HelpLine]:
    """Return the commands that the person may use. None: the person's role is not known, so all of them."""
    return [
        help_line
        for help_line in LINES
        if member is None or not help_line.scopes or member.has_scope(*help_line.scopes)
    ]
