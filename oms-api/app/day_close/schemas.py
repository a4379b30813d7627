"""Request and response bodies of the day close."""

from pydantic import BaseModel, Field

from app.http.request_models import RequestModel
from app.ledger.schemas import Note

_AT = "2026-11-20T21:00:00.000000Z"


class DayCloseIn(RequestModel):
    """The sign-off of a day."""

    note: Note | None = Field(None, description="Note about the day", examples=["Figures match the broker's"])


class DayFiguresOut(BaseModel):
    """A portfolio at the close of a day, with its P&L since the previous close, in its currency."""

    portfolio_name: str = Field(description="Its name when the day was signed off", examples=["Growth"])
    base_currency: str = Field(description="ISO 4217 code of its amounts", examples=["USD"])
    start: str | None = Field(
        alias="from", description="Previous close; null: the opening of the portfolio", examples=[_AT]
    )
    end: str = Field(alias="to", description="The close of the day", examples=[_AT])
    trades: int = Field(description="Trades of the day, without reversals", examples=[12])
    cash: str = Field(description="Cash at the close", examples=["982500.00"])
    market_value: str = Field(description="Market value of the positions, signed", examples=["18000.00"])
    gross_exposure: str = Field(description="Sum of the unsigned market values", examples=["18000.00"])
    equity: str = Field(description="Cash plus market value", examples=["1000500.00"])
    flows: str = Field(description="Deposits less withdrawals of the day", examples=["0.00"])
    realized_pnl: str = Field(description="Realized P&L of the day before charges", examples=["120.00"])
    price: str = Field(description="Part of the P&L due to prices", examples=["150.00"])
    currency: str = Field(description="Part due to exchange rates", examples=["-3.50"])
    carry: str = Field(description="Part due to interest, borrow fees and dividends", examples=["1.25"])
    interest: str = Field(description="Interest on cash", examples=["-0.75"])
    borrow: str = Field(description="Borrow fees of short positions", examples=["0.00"])
    dividends: str = Field(description="Dividends less withholding tax", examples=["2.00"])
    fees: str = Field(description="Charges, negative", examples=["-4.00"])
    adjustments: str = Field(
        description="Other cash movements, which are neither deposits nor withdrawals", examples=["0.00"]
    )
    day_pnl: str = Field(description="All parts together", examples=["143.75"])


class OpenBreakOut(BaseModel):
    """An item that was open when the day was signed off."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    kind: str = Field(
        description="`working_order`, `awaiting_approval`, `stale_mark`, `unverified_row`, "
        "`trading_stopped`, `missing_close` or `missing_rate`",
        examples=["working_order"],
    )
    subject: str | None = Field(description="Order, symbol or row", examples=["O17952423050000000c1937aec"])
    detail: str = Field(description="Description", examples=["BUY 10 AAPL, LIMIT, ACCEPTED"])


class SignedRateOut(BaseModel):
    """A rate to the tenant's currency when the day was signed off."""

    currency: str = Field(description="ISO 4217 code of the converted currency", examples=["INR"])
    rate: str = Field(
        description="Value of one unit of the currency in the tenant's currency", examples=["0.01197605"]
    )
    age_seconds: str = Field(description="Age of its oldest quote in seconds", examples=["0.25"])


class DayCloseOut(BaseModel):
    """A day that was signed off. It never changes."""

    date: str = Field(description="The day", examples=["2026-11-20"])
    signed_by: str = Field(description="Person who signed it off", examples=["slack:T0123:U0123"])
    signed_at: str = Field(
        description="Time of the sign-off, in UTC", examples=["2026-11-20T21:05:00.000000Z"]
    )
    note: str | None = Field(
        description="Note of the signer; null: none", examples=["Figures match the broker's"]
    )
    digest: str = Field(
        description="SHA-256 of all rows of the day, as in the audit log", examples=["0" * 64]
    )
    figures: list[DayFiguresOut] = Field(description="Figures of the portfolios that the caller may see")
    breaks: list[OpenBreakOut] = Field(description="Items that were open in these portfolios")
    currency: str = Field(description="The tenant's currency", examples=["USD"])
    day_pnl: str | None = Field(
        description="The day P&L of all portfolios in that currency; null if a rate is missing, and for a "
        "caller who may not see all",
        examples=["143.75"],
    )
    rates: list[SignedRateOut] = Field(description="Rates that converted it, one for each other currency")
