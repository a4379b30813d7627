"""Symbols and instruments on the wire."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.instruments.rules import WRITTEN_PATTERN, normalise_symbol


def _symbol(value: Any) -> str:  # whatever JSON held
    symbol = normalise_symbol(value) if isinstance(value, str) else None
    if symbol is None:
        message = "Must be 1 to 20 letters, digits or . & / _ - and begin with a letter or digit."
        raise PydanticCustomError("symbol", message)
    return symbol


Symbol = Annotated[
    str, BeforeValidator(_symbol), WithJsonSchema({"type": "string", "pattern": f"^{WRITTEN_PATTERN}$"})
]
