"""What the routes of orders are given."""

from typing import Annotated

from app.orders.service.desk import OrderDesk
from app.wire.dependencies import part

TheOrderDesk = Annotated[OrderDesk, part("order_desk")]
