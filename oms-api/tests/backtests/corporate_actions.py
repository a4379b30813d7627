"""Builders of corporate actions."""

from datetime import timedelta
from decimal import Decimal

from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.timestamps import format_timestamp
from tests.backtests.bars import START


def build_split(minute, new_units="2", old_units="1", price=None, symbol="AAPL"):
    at = START + timedelta(minutes=minute)
    terms = {"new_units": Decimal(new_units), "old_units": Decimal(old_units), "cash_in_lieu_price": price}
    return CorporateActionTerms(
        1, "S", ActionKind.SPLIT, symbol, format_timestamp(at), at.date().isoformat(), **terms
    )


def build_dividend(minute, value="1", withheld=None, symbol="AAPL"):
    at = START + timedelta(minutes=minute)
    terms = {"amount": Decimal(value), "withholding_percent": withheld}
    return CorporateActionTerms(
        1, "D", ActionKind.DIVIDEND, symbol, format_timestamp(at), at.date().isoformat(), **terms
    )
