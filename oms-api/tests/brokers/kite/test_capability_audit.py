"""What the table of Kite allows is taken by the stand-in, and nothing else is sent."""

from app.brokers.kite.rules.capabilities import find_refusal
from tests.brokers.capability_audit import audit, list_orders


def test_table_agrees_with_the_venue(broker, kite):
    orders = [
        *list_orders("RELIANCE", product="CNC"),
        *list_orders("RELIANCE", product="MIS"),
        *list_orders("RELIANCE", extended_hours=True),
    ]
    audit(broker, orders, find_refusal, lambda: kite.gateway.requests.count(("POST", "/orders/regular")))
