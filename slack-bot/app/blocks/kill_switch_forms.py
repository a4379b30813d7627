"""Build the forms of the kill switch, and the banner that the channel sees while trading is stopped."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.blocks.amounts import format_count
from app.blocks.form_parts import (
    build_checkbox,
    build_choice,
    build_entry,
    build_modal,
    build_reason,
    build_select,
)
from app.blocks.messages import Message
from app.blocks.order_reports import format_person
from app.blocks.replies import build_actions, build_button
from app.blocks.risk_reports import describe_switch
from app.blocks.text import Json, build_option, build_section, escape, format_literal, truncate
from app.forms import action_ids
from app.forms.portfolio_values import KillSwitch, KillSwitchResult, describe_unconfirmed_cancel
from app.forms.request_context import RequestContext

EVERYTHING = "/"  # the value of the option that means all portfolios; not a portfolio's name
REDUCE = "reduce"
HALT = "halt"
HALT_EXITS = "halt_exits"
FLATTEN = "flatten"
MODES = {
    REDUCE: "Reduce only: orders may only make positions smaller",
    HALT: "Halt: no new orders. Exits stay at the market",
    HALT_EXITS: "Halt, and cancel the exits too",
    FLATTEN: "Halt and flatten: close every position at market",
}
STATES = {
    REDUCE: ("REDUCING", ""),
    HALT: ("HALTED", "keep"),
    HALT_EXITS: ("HALTED", "cancel"),
    FLATTEN: ("HALTED", "flatten"),
}
MAX_LISTED = 20


class OpenRisk(NamedTuple):
    """The open orders, with exits among them, and positions. `is_cut`: there are more."""

    orders: int
    exits: int
    positions: int
    is_cut: bool = False


def build_halt_form(
    open_risk: OpenRisk, portfolios: Sequence[str], chosen: str, context: RequestContext
) -> Json:
    """Return the form that stops trading. It states what stays open."""
    options = [
        build_option("The whole desk", EVERYTHING),
        *(build_option(name, name) for name in portfolios[:99]),
    ]
    initial = next((item for item in options if chosen and item["value"] == chosen), options[0])
    blocks = [
        build_section(_describe_open_risk(open_risk)),
        build_entry(action_ids.SCOPE, "Stop trading of", build_select(options, initial)),
        build_entry(action_ids.MODE, "How", build_choice(MODES, HALT)),
        build_entry(
            action_ids.FLATTEN_OK,
            "To flatten, confirm",
            build_checkbox("Yes, close every position at market"),
            is_optional=True,
        ),
        build_entry(action_ids.REASON, "Reason", build_reason()),
    ]
    return build_modal(
        "Stop trading", blocks, context, submit="Stop trading", callback_id=action_ids.HALT_FORM
    )


def _describe_open_risk(open_risk: OpenRisk) -> str:
    orders = format_count(open_risk.orders, "working order", is_cut=open_risk.is_cut)
    positions = format_count(open_risk.positions, "position", is_cut=open_risk.is_cut)
    return (
        f"*Open now:* {orders}, {open_risk.exits} of them exits, and {positions}.\n"
        "Positions stay open unless you flatten. Halting cancels the orders that open or increase a "
        "position; exits stay unless you cancel them. Cancels always work.\n"
        "Another person has to resume trading."
    )


def build_resume_form(switches: Sequence[KillSwitch], context: RequestContext) -> Json:
    """Return the form that resumes trading. `switches` restrict trading, and the person may resume them."""
    options = [
        build_option(truncate(_build_label(switch), 75), get_switch_value(switch)) for switch in switches
    ]
    lines = "\n".join(map(describe_switch, switches[:MAX_LISTED]))
    blocks = [
        build_section(lines),
        build_entry(
            action_ids.SWITCH, "Resume", build_select(options, options[0] if len(options) == 1 else None)
        ),
        build_entry(action_ids.REASON, "Reason", build_reason()),
    ]
    return build_modal(
        "Resume trading", blocks, context, submit="Resume trading", callback_id=action_ids.RESUME_FORM
    )


def get_switch_value(switch: KillSwitch) -> str:
    """Return the value of an option: a portfolio's name, or that of all portfolios."""
    return EVERYTHING if switch.scope == "tenant" else switch.name or ""


def _build_label(switch: KillSwitch) -> str:
    name = "The whole desk" if switch.scope == "tenant" else switch.name or ""
    return f"{name}: {switch.state}"


def describe_scope(portfolio: str) -> str:
    """Return the scope of a kill switch, in mrkdwn."""
    return format_literal(portfolio) if portfolio else "the whole desk"


def describe_result(portfolio: str, result: KillSwitchResult) -> str:
    """Return the result of a change of a kill switch in mrkdwn."""
    lines = [f"*Trading of {describe_scope(portfolio)}* is {escape(result.state)}."]
    if result.canceled:
        lines.append(f"Canceled: {format_count(len(result.canceled), 'order')}.")
    if result.pending_portfolios:
        names = ", ".join(map(format_literal, result.pending_portfolios[:MAX_LISTED]))
        lines.append(f"Not finished yet: {names}. New orders are already denied there.")
    if result.unconfirmed:
        orders = _list_orders(result.unconfirmed)
        lines.append(f"Waiting for the broker to cancel: {orders}.")
    if result.unclosed:
        names = ", ".join(map(format_literal, result.unclosed[:MAX_LISTED]))
        lines.append(f"Not closed yet, because there is no price: {names}.")
    return "\n".join(lines)


def describe_unconfirmed_cancels(payload: Mapping[str, Any]) -> str:
    """Return which orders brokers still have, in mrkdwn."""
    orders = [describe_unconfirmed_cancel(row) for row in payload.get("orders") or ()]
    scope = describe_scope(str(payload.get("name") or ""))
    return (
        f":warning: *Trading of {scope} is {escape(str(payload.get('state') or ''))}*, but brokers have not "
        f"canceled these orders yet: {_list_orders(orders)}. They are tried again until they are canceled."
    )


def _list_orders(orders: Sequence[str]) -> str:
    more = len(orders) - MAX_LISTED
    listed = ", ".join(map(format_literal, orders[:MAX_LISTED]))
    return f"{listed} and {more} more" if more > 0 else listed


def build_halt_banner(portfolio: str, state: str, actor: str, reason: str) -> Message:
    """Return the message that the channel sees while trading is stopped."""
    effect = (
        "Only orders that make a position smaller pass."
        if state == "REDUCING"
        else "New orders are denied. Cancels work."
    )
    text = (
        f":octagonal_sign: *Trading of {describe_scope(portfolio)} is {escape(state)}* "
        f"by {format_person(actor)}: {format_literal(reason)}\n"
        f"{effect} Another person with the role risk or admin can resume it."
    )
    scope = f" in {portfolio}" if portfolio else ""
    resume = build_button("Resume trading…", action_ids.BANNER_RESUME, f"resume{scope}")
    return Message(text, (build_section(text), build_actions(resume)))


def build_resumed_banner(portfolio: str, actor: str, reason: str) -> Message:
    """Return the message that replaces the banner when trading is resumed."""
    text = (
        f":white_check_mark: *Trading of {describe_scope(portfolio)} was resumed* by {format_person(actor)}: "
        f"{format_literal(reason)}"
    )
    return Message(text, (build_section(text),))
