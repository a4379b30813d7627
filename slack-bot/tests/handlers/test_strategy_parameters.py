"""The form that changes the parameters of a strategy within their ranges."""

import pytest

from app.forms.strategy_values import StrategyParameter
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace, list_texts
from tests.limits import check_view
from tests.portfolio_oms import build_parameter, build_strategy

PATH = "/strategies/trend"
DEFINITIONS = [
    build_parameter("fast"),
    build_parameter("share", type="a number", minimum="0.5", maximum=None, default="1.50"),
    build_parameter("short", type="true or false", minimum=None, maximum=None, default="False"),
    build_parameter(
        "side", type="text", minimum=None, maximum=None, default="long", choices=["long", "both"]
    ),
    build_parameter("note", type="text", minimum=None, maximum=None, default=""),
]
VALUES = {"fast": 10, "share": "1.50", "short": False, "side": "long", "note": ""}


@pytest.fixture
def tunable_strategy(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    trading.oms.rows[PATH] = build_strategy(parameters=VALUES, parameter_definitions=DEFINITIONS)
    trading.oms.results[f"PATCH {PATH}"] = Response(body=build_strategy())
    return trading


def open_form(workspace: PortfolioWorkspace):
    workspace.click("strategy:parameters", "trend")
    view = workspace.wait_for_view()
    check_view(view)
    return view


def test_only_changed_parameters_are_sent(tunable_strategy: PortfolioWorkspace):
    view = open_form(tunable_strategy)
    assert "Bars of the fast average. · A whole number · 1 to 500" in list_texts(view)
    entries = {"parameters.fast": "12", "parameters.share": "1.5", "parameters.short": "true"}
    response = tunable_strategy.submit_view(view, **entries)
    body = {"parameters": {"fast": "12", "short": "true"}}
    assert list(tunable_strategy.oms.changes.values()) == [("PATCH", PATH, body)]
    assert "fast: 10 → 12" in list_texts(response["view"])


def test_values_out_of_range_stay_in_the_form(tunable_strategy: PortfolioWorkspace):
    view = open_form(tunable_strategy)
    wrong = {"parameters.fast": "501", "parameters.share": "NaN"}
    assert tunable_strategy.submit_view(view, **wrong)["errors"] == {
        "parameters.fast": "Must be a whole number, 1 to 500.",
        "parameters.share": "Must be a number, at least 0.5.",
    }
    assert tunable_strategy.oms.changes == {}
    error = {"field": "parameters.fast", "message": "Parameter `fast` must be less than slow.", "code": "x"}
    tunable_strategy.oms.results[f"PATCH {PATH}"] = build_problem(
        422, "1 field.", kind="invalid", errors=[error]
    )
    refused = tunable_strategy.submit_view(view, **{"parameters.fast": "400"})
    assert refused["errors"] == {"parameters.fast": "Parameter `fast` must be less than slow."}


def test_equal_values_change_nothing(tunable_strategy: PortfolioWorkspace):
    view = open_form(tunable_strategy)
    assert "already" in list_texts(tunable_strategy.submit_view(view)["view"])
    assert tunable_strategy.oms.changes == {}


def test_viewer_and_strategies_without_parameters_get_no_form(trading: PortfolioWorkspace):
    trading.oms.rows[PATH] = build_strategy()
    assert "has no parameters" in list_texts(open_form(trading))
    trading.oms.roles["slack:T1:U1"] = "viewer"
    trading.click("strategy:parameters", "trend", trigger_id="t2")
    trading.slack.wait_for("views.update", 2)
    assert "does not include changing strategies" in list_texts(trading.slack.shown["V2"])


def test_many_long_parameters_fit(trading: PortfolioWorkspace):
    texts = {
        "type": "text",
        "default": "v" * 1_000,
        "description": "d" * 500,
        "minimum": None,
        "maximum": None,
    }
    names = [f"{'n' * 97}{number:03}" for number in range(100)]
    definitions = [
        build_parameter(name, **texts, choices=[f"c{n}" for n in range(150)]) for name in names[:50]
    ]
    definitions += [build_parameter(name, **texts) for name in names[50:]]
    trading.oms.rows[PATH] = build_strategy(parameters={}, parameter_definitions=definitions)
    assert "The first 95 of 100 are shown." in list_texts(open_form(trading))


@pytest.mark.parametrize(
    ("kind", "text", "is_valid"),
    [
        *[("a whole number", text, text == "-7") for text in ("-7", "1.5", "1e2", "1_0", "٣", "", "-11")],
        *[("a number", text, text in ("-1.25", "0")) for text in ("-1.25", "0", "1e2", "inf", ".5", "11")],
        *[("true or false", text, text == "true") for text in ("true", "yes", "")],
        ("text", "anything", True),
    ],
)
def test_texts_are_checked_by_type_and_range(kind, text, is_valid):
    strategy_parameter = StrategyParameter(
        name="p", type=kind, description="", minimum="-10", maximum="10", choices=(), value="1"
    )
    assert (strategy_parameter.find_problem(text) == "") is is_valid


def test_small_numbers_are_shown_without_exponent():
    strategy_parameter = StrategyParameter(
        name="quantity",
        type="a number",
        description="",
        minimum="1E-8",
        maximum=None,
        choices=(),
        value="1E-7",
    )
    assert strategy_parameter.range_text == "at least 0.00000001"
    assert strategy_parameter.text == "0.0000001"
    assert strategy_parameter.is_value("0.0000001")
