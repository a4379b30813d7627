"""Kite's dump becomes instruments with tick size, lot size and exchange."""

from decimal import Decimal

import pytest

from app.brokers.zerodha.rules.instruments import merge_instruments, parse_instruments
from app.instruments.rules import Instrument

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
RELIANCE = '738561,2885,RELIANCE,"RELIANCE  INDUSTRIES",0,,0,0.05,1,EQ,NSE,NSE'


def parse_dump(*lines):
    return list(parse_instruments([HEADER, *lines]))


def test_share_and_derivative_are_parsed():
    share, future = parse_dump(RELIANCE, "1,1,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,75,FUT,NFO-FUT,NFO")
    assert share == Instrument(
        "RELIANCE", "NSE", "equity", "INR", Decimal("0.05"), Decimal(1), is_listed=True,
        name="RELIANCE INDUSTRIES",
    )  # fmt: skip
    assert (future.asset_class, future.exchange, future.lot_size) == ("future", "NFO", 75)


@pytest.mark.parametrize(
    "line",
    [
        "1,1,NIFTY 50,NIFTY,0,,0,0.05,1,EQ,INDICES,NSE",
        "1,1,NIFTY,NIFTY,0,,0,0.05,1,EQ,INDICES,NSE",
        "1,1,NEW,NEW,0,,0,0.05,1,WARRANT,NSE,NSE",
        "1,1,FREE,FREE,0,,0,0,1,EQ,NSE,NSE",
        "1,1,ODD,ODD,0,,0,0.05,x,EQ,NSE,NSE",
        "1,1,SHORT",
    ],
)
def test_indices_and_malformed_lines_are_left_out(line):
    assert [instrument.symbol for instrument in parse_dump(line, RELIANCE)] == ["RELIANCE"]


def test_first_exchange_names_the_terms():
    (share,) = parse_dump(RELIANCE)
    other = share._replace(exchange="BSE")
    merged = merge_instruments([share], [other, other._replace(symbol="ONLYBSE")])
    assert {symbol: instrument.exchange for symbol, instrument in merged.items()} == {
        "RELIANCE": "NSE",
        "ONLYBSE": "BSE",
    }
