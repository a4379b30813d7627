"""Current exchange rates to the tenant's currency."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.identity.queries.tenants import get_base_currency
from app.instruments.rules import InstrumentKey
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.service import Market
from app.reports.rules.values import UsedRate


class TenantRates:
    """The current rates to the tenant's currency, each looked up once."""

    def __init__(self, connection: Connection, market: Market, tenant_id: int, now: datetime) -> None:
        self.base_currency = get_base_currency(connection, tenant_id)
        self._source = (connection, market, tenant_id)
        self._now = now
        self._rates_by_currency: dict[str, UsedRate | None] = {
            self.base_currency: UsedRate(self.base_currency, Decimal(1), 0.0)
        }

    @property
    def used_rates(self) -> list[UsedRate]:
        """The rates of other currencies, by currency."""
        used_rates = [rate for _, rate in sorted(self._rates_by_currency.items()) if rate is not None]
        return [rate for rate in used_rates if rate.currency != self.base_currency]

    @property
    def missing_currencies(self) -> list[str]:
        """The currencies without a rate."""
        return sorted(currency for currency, rate in self._rates_by_currency.items() if rate is None)

    def find_rate(self, currency: str) -> UsedRate | None:
        """Return the rate of a currency, None if the quotes do not give one."""
        if currency not in self._rates_by_currency:
            self._rates_by_currency[currency] = self._compute_rate(currency)
        return self._rates_by_currency[currency]

    def _compute_rate(self, currency: str) -> UsedRate | None:
        connection, market, tenant_id = self._source
        pairs = list_pairs(currency, self.base_currency)
        quotes_by_key = market.load_quotes(
            connection, [InstrumentKey(tenant_id, currency_pair) for currency_pair in pairs], self._now
        )
        quotes = {key.symbol: quote for key, quote in quotes_by_key.items()}
        rate = find_rate(currency, self.base_currency, quotes)
        if rate is None:
            return None
        direct = [quotes[currency_pair].at for currency_pair in pairs[:2] if currency_pair in quotes]
        oldest = min(direct or [quote.at for quote in quotes.values()])
        return UsedRate(currency, rate, round(max((self._now - oldest).total_seconds(), 0.0), 3))
