"""Settings of portfolios in their stored form."""

from app.ledger.rules.settings import format_json, resolve_schedule, serialize_audited_settings


def test_schedules_by_market_replace_the_general_schedule():
    schedules = format_json({"US": "us_equity"})
    assert resolve_schedule("zerodha", None, "US") == "zerodha"
    assert resolve_schedule("zerodha", schedules, "US") == "us_equity"
    assert (
        resolve_schedule("zerodha", schedules, "IN") == resolve_schedule("zerodha", schedules, None) == "none"
    )


def test_audit_log_stores_settings_as_objects():
    stored = {"approval": format_json({"mode": "always"}), "cost_schedules": None, "calendar": "XNYS"}
    assert serialize_audited_settings(stored) == {
        "approval": {"mode": "always"},
        "cost_schedules": None,
        "calendar": "XNYS",
    }
    assert format_json(None) is None
    assert format_json({}) is None
