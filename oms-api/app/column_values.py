"""Column values as the drivers return them: decimals and datetimes from PostgreSQL, text from SQLite."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from app.money import format_fixed
from app.timestamps import format_timestamp


def convert_instant(value: Any) -> Any:  # the value of any column
    """Return the canonical text of an instant, other values unchanged."""
    return format_timestamp(value) if isinstance(value, datetime) else value


def format_canonical(value: Any) -> Any:  # the value of any column
    """Return the canonical text of a decimal or an instant, other values unchanged."""
    return format_fixed(value) if isinstance(value, Decimal) else convert_instant(value)


def parse_decimal(value: Any) -> Decimal | None:
    """Return the decimal of a column, None if it is null."""
    return value if value is None or isinstance(value, Decimal) else Decimal(value)


def parse_instant(value: Any) -> datetime:
    """Return the instant of a column that is not null."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
