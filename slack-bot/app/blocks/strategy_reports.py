"""Build the reply that shows strategies, and the sentences about them."""

from collections.abc import Sequence

from app.blocks.amounts import format_count, format_signed
from app.blocks.replies import Reply, build_actions, build_button, build_sentence_reply
from app.blocks.text import (
    Json,
    build_plain_text,
    build_section,
    count_fitting,
    escape,
    format_literal,
    truncate,
)
from app.forms import action_ids
from app.forms.portfolio_values import Member
from app.forms.strategy_values import ACTIVE, FAILED, INACTIVE, StrategySummary

MAX_STRATEGIES = 20  # each has two blocks of the 50 of a message
MAX_CHARACTERS = 8_000  # of all; their buttons have texts as well
MAX_NAMES_IN_TEXT = 10
MAX_REASON_CHARACTERS = 300
NO_STRATEGIES = "There are no strategies that you may see."
ORDERS_WITHOUT_STRATEGY = "orders without a strategy"


def build_strategies_reply(strategies: Sequence[StrategySummary], member: Member) -> Reply:
    """Return the strategies with their status and P&L, and buttons for what the person's role allows."""
    if not strategies:
        return build_sentence_reply(NO_STRATEGIES)
    texts = [_describe_strategy(strategy_summary) for strategy_summary in strategies[:MAX_STRATEGIES]]
    strategy_summaries = strategies[: count_fitting(texts, MAX_CHARACTERS)]
    blocks = [
        block
        for strategy_summary, text in zip(strategy_summaries, texts, strict=False)
        for block in _build_strategy(strategy_summary, text, member)
    ]
    lines = [
        _describe_first_line(strategy_summary) for strategy_summary in strategy_summaries[:MAX_NAMES_IN_TEXT]
    ]
    is_cut = len(strategy_summaries) < len(strategies)
    heading = (
        f"*Strategies* (the first {len(strategy_summaries)} of {len(strategies)})"
        if is_cut
        else "*Strategies*"
    )
    return Reply("\n".join([heading, *lines]), (build_section(heading), *blocks))


def describe_changed(strategy: StrategySummary) -> str:
    """Return a sentence in mrkdwn about the status that a strategy has now."""
    return f"*{format_literal(strategy.name)}* is {escape(strategy.status)} now."


def _describe_strategy(strategy: StrategySummary) -> str:
    return "\n".join([_describe_first_line(strategy), *_describe_details(strategy)])


def _build_strategy(strategy: StrategySummary, text: str, member: Member) -> list[Json]:
    buttons = _list_buttons(strategy, member)
    return [build_section(text), *([build_actions(*buttons)] if buttons else [])]


def _describe_first_line(strategy: StrategySummary) -> str:
    name = ORDERS_WITHOUT_STRATEGY if strategy.is_manual else strategy.name
    status = "" if strategy.is_manual else f" · {escape(strategy.status)}"
    rounds = (
        f"{strategy.wins} of {format_count(strategy.trades, 'round trip')} won"
        if strategy.trades
        else "no round trips"
    )
    return f"*{format_literal(name)}*{status} · P&amp;L {format_signed(strategy.pnl_net)} · {rounds}"


def _describe_details(strategy: StrategySummary) -> list[str]:
    """Return where a strategy trades, and why it has its status."""
    lines = []
    if strategy.portfolio:
        symbols = (
            f" · {escape(truncate(', '.join(strategy.symbols), MAX_REASON_CHARACTERS))}"
            if strategy.symbols
            else ""
        )
        interval = f" · bars of {escape(strategy.interval)}" if strategy.interval else ""
        lines.append(
            f"{escape(strategy.mode.capitalize())} in {format_literal(strategy.portfolio)}{symbols}{interval}"
        )
    reasons = (("Reason", strategy.reason), ("Error", strategy.last_error))
    return lines + [
        f"{label}: {format_literal(truncate(reason, MAX_REASON_CHARACTERS))}"
        for label, reason in reasons
        if reason
    ]


def _list_buttons(strategy: StrategySummary, member: Member) -> list[Json]:
    """Return the buttons that the status and the person's role allow. The OMS checks each click as well."""
    if strategy.is_manual:
        return []
    buttons = []
    if strategy.status == ACTIVE and member.has_scope("trade", "risk"):
        buttons.append(build_button("Pause", action_ids.STRATEGY_PAUSE, strategy.name))
    if strategy.status != ACTIVE and member.has_scope("trade"):
        buttons.append(_build_start_button(strategy))
    if strategy.status != INACTIVE and member.has_scope("trade", "risk"):
        buttons.append(_build_stop_button(strategy))
    if strategy.has_code and member.has_scope("trade"):
        buttons.append(build_button("Parameters…", action_ids.STRATEGY_PARAMETERS, strategy.name))
        buttons.append(build_button("Backtest…", action_ids.STRATEGY_BACKTEST, strategy.name))
    return buttons


def _build_start_button(strategy: StrategySummary) -> Json:
    is_failed = strategy.status == FAILED
    action_id = action_ids.STRATEGY_RESTART if is_failed else action_ids.STRATEGY_START
    after = " It failed before: check the error first." if is_failed else ""
    where = f" in {strategy.portfolio}" if strategy.portfolio else ""
    confirm = _build_confirmation(
        "Start the strategy?", f"{strategy.name} places {strategy.mode} orders{where}.{after}", "Start"
    )
    return build_button("Start again" if is_failed else "Start", action_id, strategy.name) | {
        "confirm": confirm
    }


def _build_stop_button(strategy: StrategySummary) -> Json:
    effect = "stops, saves its state, and cancels its entries. Its exits and positions stay."
    confirm = _build_confirmation("Stop the strategy?", f"{strategy.name} {effect}", "Stop")
    return build_button("Stop", action_ids.STRATEGY_STOP, strategy.name) | {"confirm": confirm}


def _build_confirmation(title: str, text: str, label: str) -> Json:
    return {
        "title": build_plain_text(title),
        "text": build_plain_text(truncate(text, 300)),
        "confirm": build_plain_text(label),
        "deny": build_plain_text("Back"),
    }
