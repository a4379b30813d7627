"""Stand-ins beside the desk: they follow its prices, and keep their accounts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.market_data.sources.simulated import SimulatedSource
from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.demo import AccountFile, PriceWalk

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("cash", "orders", "positions", "_by_client_order_id")
BUY = {"symbol": "AAPL", "qty": "2", "side": "buy", "type": "market", "time_in_force": "day"}


def test_prices_follow_the_simulated_source_until_one_is_set():
    exchange, source = Exchange(), SimulatedSource("seed")

    def find_ask(symbol, at):
        quote = source.get_quote(symbol, at)
        return None if quote is None else quote.ask

    walk = PriceWalk(exchange, "seed", ["AAPL", "MSFT"])
    for number in range(3):
        at = NOON + timedelta(minutes=number)
        walk.step(at)
        assert exchange.quotes["AAPL"].ask == find_ask("AAPL", at)
    exchange.quote("AAPL", "1", "2")
    walk.step(NOON)
    assert exchange.quotes["AAPL"].ask == 2
    assert exchange.quotes["MSFT"].ask == find_ask("MSFT", NOON)


def test_account_outlives_the_program(tmp_path):
    path, first, second = tmp_path / "below" / "account", Exchange(), Exchange()
    first.quote("AAPL", "99", "100")
    first.submit(BUY | {"client_order_id": "A"})
    AccountFile(path, first, NAMES).save()
    AccountFile(path, second, NAMES).load()
    assert (second.cash, second.positions["AAPL"].qty) == (Decimal(999_800), Decimal(2))
    assert second.get_order_by_client_order_id("A").status == "filled"
    AccountFile(tmp_path / "nothing", second, NAMES).load()
    assert second.positions["AAPL"].qty == 2
