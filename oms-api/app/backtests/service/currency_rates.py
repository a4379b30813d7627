"""The exchange rates of a backtest: the prices of its currency pairs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.currency_pairs import parse_pair
from app.backtests.service.feeds import BarFeed
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Quote

_SOURCE = "bars"


class CurrencyRates:
    """Computes rates to the currency of the portfolio, by the rules of the service."""

    def __init__(self, base: str, feeds: Mapping[str, BarFeed]) -> None:
        self.base = base
        feeds_by_pair = ((parse_pair(symbol), feed) for symbol, feed in feeds.items())
        self._feeds = {
            currency_pair: feed for currency_pair, feed in feeds_by_pair if currency_pair is not None
        }

    def find(self, currency: str, at: int | None = None) -> Decimal | None:
        """Return the value of one unit of a currency, None if no rate is known.

        It is by the last closes. With `at`, the start of a bar, it is by the opens of bars that begin then.
        """
        return find_rate(
            currency,
            self.base,
            {
                currency_pair: self._find_quote(currency_pair, at)
                for currency_pair in list_pairs(currency, self.base)
            },
        )

    def require(self, currency: str, at: int | None = None) -> Decimal:
        """Return the value of one unit of a currency. Raises InvalidBacktest if no rate is known."""
        rate = self.find(currency, at)
        if rate is None:
            currency_pair = f"{currency}/{self.base}"
            raise InvalidBacktest(
                f"There is no rate of {currency_pair}: add bars of this pair, such as with --rates."
            )
        return rate

    def _find_quote(self, currency_pair: str, at: int | None) -> Quote | None:
        feed = self._feeds.get(currency_pair)
        price = None if feed is None else feed.find_price_at(at)
        if price is None:
            return None
        return Quote(
            symbol=currency_pair,
            bid=None,
            ask=None,
            last=price,
            bid_size=None,
            ask_size=None,
            at=datetime.fromtimestamp(at or 0, UTC),
            source=_SOURCE,
        )
