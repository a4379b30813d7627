"""What the routes of orders are given."""

from typing import Annotated

from fastapi import Depends, Request

from app.orders.service.desk import OrderDesk


async def _order_desk(request: Request) -> OrderDesk:
    desk: OrderDesk = request.app.state.order_desk
    return desk


TheOrderDesk = Annotated[OrderDesk, Depends(_order_desk)]
