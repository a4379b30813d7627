"""The terms of corporate actions."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.corporate_actions.rules.terms import ActionDraft, list_term_errors
from app.ledger.rules.corporate_actions import ActionKind

EX_DATE = date(2026, 11, 23)


def build_draft(kind, **terms):
    amounts = {"new_units", "old_units", "amount", "withholding_percent", "cash_in_lieu_price"}
    fields: dict[str, Any] = {
        name: Decimal(value) if name in amounts else value for name, value in terms.items()
    }
    return ActionDraft(ActionKind(kind), "AAPL", EX_DATE, "Announced", **fields)


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        (build_draft("split", new_units="2", old_units="1"), []),
        (build_draft("split", new_units="2"), ["old_units"]),
        (build_draft("split", new_units="2", old_units="2"), ["new_units"]),
        (build_draft("split", new_units="2", old_units="1", amount="1"), ["amount"]),
        (build_draft("symbol_change", new_symbol="META"), []),
        (build_draft("symbol_change", new_symbol="AAPL"), ["new_symbol"]),
        (build_draft("dividend", amount="1", currency="USD", withholding_percent="15"), []),
        (
            build_draft("dividend", amount="1", currency="USD", withholding_percent="101"),
            ["withholding_percent"],
        ),
        (build_draft("dividend", amount="1", currency="USD", pay_date=date(2026, 11, 22)), ["pay_date"]),
        (build_draft("dividend", amount="1"), ["currency"]),
    ],
)
def test_each_kind_has_separate_terms(terms, fields):
    assert [error.field for error in list_term_errors(terms)] == fields
