"""Pictures of kill switches, settings, strategies and backtests."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from app.blocks import (
    backtest_reports,
    form_parts,
    kill_switch_forms,
    messages,
    preference_forms,
    replies,
    strategy_forms,
    strategy_reports,
    strategy_threads,
)
from app.forms.portfolio_values import KillSwitchResult
from app.forms.request_context import RequestContext
from app.forms.strategy_values import FAILED
from app.oms_client.rows import parse_backtest, parse_parameters, parse_preferences, parse_strategy
from tests import portfolio_oms
from tests.gallery import values
from tests.gallery.picture import Picture, draw_message, draw_reply, draw_sentence, draw_view

CONTEXT = RequestContext("C1", "trend")
DAYS = (date(2026, 10, 30), date(2026, 11, 28))
PREFERENCES = parse_preferences(portfolio_oms.build_preferences())
LARGE_PREFERENCES = replace(
    PREFERENCES,
    default_portfolio=values.LONG_NAME,
    time_zone="America/Argentina/ComodRivadavia",
    watchlists={f"{'List ' * 5}{number}": tuple([values.LONG_SYMBOL] * 6) for number in range(20)},
)
STRATEGY = parse_strategy(portfolio_oms.build_strategy())
LARGE_STRATEGY = replace(
    STRATEGY,
    name="w" * 100,
    portfolio=values.LONG_NAME,
    symbols=(values.LONG_SYMBOL,) * 200,
    status=FAILED,
    reason=values.LONG_REASON,
    last_error=values.LONG_REASON,
)
PARAMETERS = parse_parameters(
    portfolio_oms.build_strategy(parameter_definitions=[portfolio_oms.build_parameter()])
)
LARGE_PARAMETERS = parse_parameters(
    portfolio_oms.build_strategy(
        parameter_definitions=[
            portfolio_oms.build_parameter("w" * 60, description="w" * 200),
            portfolio_oms.build_parameter(
                "mode", type="text", choices=["fast", "slow"], default="fast", minimum=None, maximum=None
            ),
            portfolio_oms.build_parameter(
                "short", type="true or false", default="true", minimum=None, maximum=None
            ),
            *(portfolio_oms.build_parameter(f"parameter_{number}") for number in range(97)),
        ]
    )
)
BACKTEST = parse_backtest(portfolio_oms.build_backtest())
LARGE_BACKTEST = replace(
    BACKTEST,
    id=values.LONG_ID,
    strategy="w" * 100,
    symbols=(values.LONG_SYMBOL,) * 200,
    sharpe=None,
    max_drawdown=None,
)
RESULT = KillSwitchResult("REDUCING", (), (), ())
LARGE_RESULT = KillSwitchResult(
    "HALTED",
    (values.LONG_ID,) * 100,
    (values.LONG_NAME,) * 30,
    (values.LONG_NAME,) * 30,
    (values.LONG_ID,) * 30,
)
UNCONFIRMED = {
    "name": values.LONG_NAME,
    "state": "HALTED",
    "orders": [
        {
            "side": "BUY",
            "leaves": "10",
            "symbol": values.LONG_SYMBOL,
            "order_id": values.LONG_ID,
            "portfolio_name": values.LONG_NAME,
            "broker": "alpaca",
        }
    ]
    * 30,
}
STRATEGY_EVENT = {"name": "trend", "status": "ACTIVE", "portfolio_name": "Growth", "version": 1, "run": 1}


def list_pictures() -> Iterator[Picture]:
    """Yield the pictures, the smallest of each first."""
    yield from _list_switch_pictures()
    yield from _list_setting_pictures()
    yield from _list_strategy_pictures()


def _list_switch_pictures() -> Iterator[Picture]:
    halt, risk = kill_switch_forms.build_halt_form, kill_switch_forms.OpenRisk
    names = [values.LONG_NAME, "Growth"]
    yield from draw_view(
        "halt-form",
        halt,
        halt(risk(0, 0, 0), [], "", CONTEXT),
        halt(risk(500, 200, 200, is_cut=True), names, values.LONG_NAME, CONTEXT),
    )
    resume = kill_switch_forms.build_resume_form
    yield from draw_view(
        "resume-form", resume, resume([values.HALTED], CONTEXT), resume(values.LARGE_SWITCHES, CONTEXT)
    )
    describe = kill_switch_forms.describe_result
    yield from draw_sentence(
        "switch-result", describe, describe("", RESULT), describe(values.LONG_NAME, LARGE_RESULT)
    )
    unconfirmed = kill_switch_forms.describe_unconfirmed_cancels
    yield from draw_sentence("unconfirmed-cancels", unconfirmed, unconfirmed(UNCONFIRMED))
    banner = kill_switch_forms.build_halt_banner
    yield from draw_message(
        "halt-banner",
        banner,
        banner("", "HALTED", values.LONG_ACTOR, "Feed is down"),
        banner(values.LONG_NAME, "REDUCING", "a-program", values.LONG_REASON[:500]),
    )
    resumed = kill_switch_forms.build_resumed_banner
    yield from draw_message(
        "resumed-banner", resumed, resumed(values.LONG_NAME, values.LONG_ACTOR, values.LONG_REASON[:500])
    )


def _list_setting_pictures() -> Iterator[Picture]:
    build = preference_forms.build_settings_form
    small = replace(PREFERENCES, quiet_hours=None, watchlists={})
    large = replace(
        LARGE_PREFERENCES, watchlists={"Tech": ("AAPL", "MSFT"), "More": (values.LONG_SYMBOL,) * 20}
    )
    yield from draw_view("settings-form", build, build(small, CONTEXT), build(large, CONTEXT))
    build_reply = preference_forms.build_settings_reply
    yield from draw_reply("settings", build_reply, build_reply(small), build_reply(LARGE_PREFERENCES))
    yield from draw_view(
        "text", form_parts.build_text_view, form_parts.build_text_view("Close a position", values.LONG_REASON)
    )
    yield from draw_view(
        "banner",
        form_parts.redraw_with_banner,
        form_parts.redraw_with_banner(
            build(small, CONTEXT), "*Not done.* " + values.LONG_REASON[:300], CONTEXT
        ),
    )
    yield from draw_reply(
        "sentence",
        replies.build_sentence_reply,
        replies.build_sentence_reply("There is no portfolio called Growht."),
    )
    yield from draw_message(
        "notice", messages.build_notice, *map(messages.build_notice, (messages.USAGE, messages.HELP))
    )
    yield from draw_message(
        "hint",
        messages.add_hint,
        messages.add_hint(messages.build_notice("*Trade placed.*"), "`/invite @SlackOMS` adds me."),
    )


def _list_strategy_pictures() -> Iterator[Picture]:
    build = strategy_reports.build_strategies_reply
    yield from draw_reply(
        "strategies",
        build,
        build([], values.build_member()),
        build([STRATEGY, replace(STRATEGY, kind="manual")], values.build_member()),
        build([LARGE_STRATEGY] * 25, values.build_member("admin")),
    )
    changed = strategy_reports.describe_changed
    yield from draw_sentence("strategy-changed", changed, changed(STRATEGY), changed(LARGE_STRATEGY))
    form = strategy_forms.build_backtest_form
    asking = RequestContext("C1", "")
    yield from draw_view(
        "backtest-form", form, form(["trend"], DAYS, asking), form([], DAYS, RequestContext("C1", "w" * 100))
    )
    parameters = strategy_forms.build_parameters_form
    yield from draw_view(
        "parameters-form", parameters, parameters(PARAMETERS, CONTEXT), parameters(LARGE_PARAMETERS, CONTEXT)
    )
    result = backtest_reports.build_backtest_reply
    yield from draw_reply(
        "backtest",
        result,
        result(BACKTEST, []),
        result(BACKTEST, values.EQUITIES),
        result(LARGE_BACKTEST, values.LARGE_EQUITIES, is_for_image=False),
    )
    describe_event = backtest_reports.describe_backtest_event
    failed = {"strategy": "w" * 100, "backtest_id": "B1", "status": "failed", "error": values.LONG_REASON}
    yield from draw_sentence(
        "backtest-event",
        describe_event,
        describe_event({"strategy": "trend", "backtest_id": "B1"}),
        describe_event(failed),
    )
    thread = strategy_threads.build_strategy_message
    long_event = STRATEGY_EVENT | {"name": "w" * 100, "portfolio_name": values.LONG_NAME}
    yield from draw_message("strategy-thread", thread, thread(STRATEGY_EVENT), thread(long_event))
    describe = strategy_threads.describe_strategy_event
    drift = STRATEGY_EVENT | {
        "differences": 3,
        "compared_orders": 1,
        "compared_fills": 5,
        "order_id": values.LONG_ID,
    }
    yield from draw_sentence(
        "strategy-event",
        describe,
        describe("strategy.started", STRATEGY_EVENT | {"actor": values.LONG_ACTOR}),
        describe("strategy.drift", drift | {"reason": values.LONG_REASON}),
        describe("strategy.error", long_event | {"last_error": values.LONG_REASON}),
    )
