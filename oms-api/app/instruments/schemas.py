"""Request and response bodies of instruments."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.http.fields import PositiveAmount, clean, to_lower_case
from app.http.request_models import FrozenRequestModel
from app.instruments.rules import MAX_SYMBOL_CHARACTERS, WRITTEN_PATTERN, Instrument, normalize_symbol
from app.money import format_plain_amount


def _validate_symbol(value: Any) -> str:  # any JSON value
    symbol = normalize_symbol(value) if isinstance(value, str) else None
    if symbol is None:
        message = (
            "A symbol has 1 to {most} characters: the letters A to Z, digits and . & / _ - "
            "It begins with a letter or a digit."
        )
        raise PydanticCustomError("symbol", message, {"most": MAX_SYMBOL_CHARACTERS})
    return symbol


Symbol = Annotated[
    str,
    BeforeValidator(_validate_symbol),
    WithJsonSchema({"type": "string", "pattern": f"^{WRITTEN_PATTERN}$"}),
]
AssetClassName = Literal[
    "equity", "etf", "crypto", "fx", "commodity", "bond", "fund", "index", "future", "option"
]
AssetClassInput = Annotated[AssetClassName, BeforeValidator(to_lower_case)]
ExchangeCode = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,20}$"), AfterValidator(str.upper)]
InstrumentName = Annotated[str, AfterValidator(clean), Field(max_length=100)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Za-z]{3}$"), AfterValidator(str.upper)]


MAX_ALIASES = 10


class InstrumentIn(FrozenRequestModel):
    """The terms of a symbol. The tick size is in currency, the lot size in units."""

    name: InstrumentName = ""
    exchange: ExchangeCode = ""
    asset_class: AssetClassInput = "equity"
    currency: CurrencyCode = "USD"
    sector: Annotated[str, AfterValidator(clean), Field(max_length=60)] = Field(
        "", description="Sector by which exposure is summed", examples=["Energy"]
    )
    tick_size: PositiveAmount
    lot_size: PositiveAmount
    tradable: bool = Field(True, strict=True, description="Whether new orders are accepted")
    restricted: bool = Field(False, strict=True, description="Whether compliance forbids new orders")
    aliases: list[Symbol] | None = Field(
        None,
        max_length=MAX_ALIASES,
        description="Other names of the instrument; leave the field out to keep them",
        examples=[["BRK-B"]],
    )

    def to_instrument(self, symbol: str) -> Instrument:
        """Return the instrument."""
        kind = (self.exchange, self.asset_class, self.currency)
        return Instrument(
            symbol, *kind, self.tick_size, self.lot_size, self.tradable, self.restricted, is_listed=True,
            name=self.name, sector=self.sector,
        )  # fmt: skip


class InstrumentOut(BaseModel):
    """An instrument. An instrument that is not `listed` has the smallest tick and lot size."""

    symbol: str = Field(examples=["RELIANCE"])
    name: str = Field(examples=["Reliance Industries"], description="Name; empty if none was set")
    exchange: str = Field(examples=["NSE"])
    asset_class: str = Field(examples=["equity"])
    currency: str = Field(examples=["INR"])
    sector: str = Field(examples=["Energy"], description="Sector for reports; empty where none was set")
    tick_size: str = Field(examples=["0.05"])
    lot_size: str = Field(examples=["1"])
    tradable: bool
    restricted: bool
    listed: bool
    aliases: list[str] = Field(
        description="Other names of the instrument; requests with them are recorded under `symbol`"
    )


def serialize_instrument(instrument: Instrument, aliases: Sequence[str]) -> dict[str, Any]:
    """Serialize the instrument as `InstrumentOut`."""
    return {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "exchange": instrument.exchange,
        "asset_class": instrument.asset_class,
        "currency": instrument.currency,
        "sector": instrument.sector,
        "tick_size": format_plain_amount(instrument.tick_size),
        "lot_size": format_plain_amount(instrument.lot_size),
        "tradable": instrument.is_tradable,
        "restricted": instrument.is_restricted,
        "listed": instrument.is_listed,
        "aliases": list(aliases),
    }
