"""The virtual contract note of the stand-in, at the rates of shares on the NSE."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_STT = {("CNC", "BUY"): "0.001", ("CNC", "SELL"): "0.001", ("MIS", "SELL"): "0.00025"}
_STAMP = {("CNC", "BUY"): "0.00015", ("MIS", "BUY"): "0.00003"}
_EXCHANGE, _SEBI, _GST = Decimal("0.0000307"), Decimal("0.000001"), Decimal("0.18")
_BROKERAGE, _MOST = Decimal("0.0003"), Decimal(20)


def compute_charges(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order of a request with its charges."""
    value = Decimal(str(order["quantity"])) * Decimal(str(order["average_price"]))
    key = (order["product"], order["transaction_type"])
    brokerage = min(value * _BROKERAGE, _MOST) if order["product"] == "MIS" else Decimal(0)
    parts = {
        "transaction_tax": value * Decimal(_STT.get(key, "0")),
        "exchange_turnover_charge": value * _EXCHANGE,
        "sebi_turnover_charge": value * _SEBI,
        "brokerage": brokerage,
        "stamp_duty": value * Decimal(_STAMP.get(key, "0")),
    }
    gst = (parts["exchange_turnover_charge"] + parts["sebi_turnover_charge"] + brokerage) * _GST
    charges: dict[str, Any] = {name: float(amount) for name, amount in parts.items()}
    charges |= {
        "transaction_tax_type": "stt",
        "gst": {"igst": float(gst), "cgst": 0, "sgst": 0, "total": float(gst)},
        "total": float(sum(parts.values()) + gst),
    }
    return {**order, "price": order["average_price"], "charges": charges}
