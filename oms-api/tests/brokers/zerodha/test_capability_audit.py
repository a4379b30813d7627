"""The stand-in accepts the orders that the table of Kite allows. Other orders are not sent."""

from app.brokers.zerodha.rules.capabilities import find_refusal
from tests.brokers.capability_audit import build_orders, check_capabilities


def test_table_agrees_with_the_venue(broker, kite):
    orders = [
        *build_orders("RELIANCE", product="CNC"),
        *build_orders("RELIANCE", product="MIS"),
        *build_orders("RELIANCE", extended_hours=True),
    ]
    check_capabilities(
        broker, orders, find_refusal, lambda: kite.gateway.requests.count(("POST", "/orders/regular"))
    )
