"""Descriptions and examples of parameters of paths and queries, for the OpenAPI document."""

from app.http.field_descriptions import FieldText

# By the name of the parameter; the others have the text of the field with their name.
PARAMETERS: dict[str, FieldText] = {
    name: FieldText(*text)
    for name, text in {
        "alert_id": ("ID of the alert", "A17952423050000000c1937aec"),
        "cursor": ("Cursor from the `Link` header of the previous page", None),
        "detail": ("`true`: return the totals of each portfolio; `false`: only its name", False),
        "idempotency_key": ("Only the trade with this idempotency key", "form-V0123-1"),
        "interval": ("Length of a bar", "1m"),
        "latch_id": ("ID of the latch", "L17952360655300000c5d8cbe8"),
        "limit": ("Maximum number of items on a page", 50),
        "name": ("Name of the portfolio; letter case does not matter", "Growth"),
        "order_id": ("ID of the order", "O17636544000000000a1b2c3d4"),
        "portfolio": ("Name of the portfolio; letter case does not matter", "Growth"),
        "side": ("Only this side", None),
        "status": ("Only this status", None),
        "type": ("Only these types, separated by commas; `*` matches any text", "trade.recorded,order.*"),
        "user": ("Only trades with this `user_id`", None),
        "user_id": ("ID of the user", 17),
    }.items()
}  # fmt: skip
