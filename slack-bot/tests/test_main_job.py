"""The main use case: a command, a form, a submission, a confirmation."""

from tests.conftest import Workspace


def test_trade_typed_in_slack_is_confirmed_in_the_channel(workspace: Workspace):
    assert workspace.type("AAPL").status_code == 200
    opened = workspace.slack.wait_for("views.open")[0].body
    assert opened["view"]["callback_id"] == "trade_form"

    response = workspace.submit(private_metadata=opened["view"]["private_metadata"])

    assert response == {"response_action": "clear"}
    posted = workspace.slack.wait_for("chat.postMessage")[0].body
    assert posted["channel"] == "C1"
    for expected in (
        "T1697234567000X",
        "BUY 100 AAPL",
        "175.00",
        "17,500.00",
        "Growth",
        "<@U1>",
        "2026-11-21 10:00:00",
    ):
        assert expected in posted["text"]
    assert "Resulting position: 100 AAPL" in posted["text"]
