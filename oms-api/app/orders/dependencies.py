"""Declare the FastAPI dependencies of the order routes."""

from typing import Annotated

from app.orders.service.cancellations import Cancellations
from app.orders.service.order_service import OrderService
from app.wire.dependencies import part

TheOrderService = Annotated[OrderService, part("order_service")]
TheCancellations = Annotated[Cancellations, part("cancellations")]
