"""The library ib_async drives the stand-in of TWS, so that it is known to speak the protocol."""

import asyncio
from decimal import Decimal

import pytest
from ib_async import IB, Forex, LimitOrder, MarketOrder, Stock, StopOrder

from tests.brokers.standins.ibkr.server import ACCOUNT, StandIn
from tests.support.conditions import WAIT_SECONDS

APPLE = Stock("AAPL", "SMART", "USD", primaryExchange="NASDAQ")


@pytest.fixture(scope="module")
def running_tws():
    with StandIn() as tws:
        yield tws


@pytest.fixture
def tws(running_tws):
    running_tws.clear()
    running_tws.quote("AAPL", "99", "101")
    return running_tws


def run_with_client(steps, tws, client_id=1):
    """Run steps with a connected client."""

    async def connect():
        ib = IB()
        await ib.connectAsync("127.0.0.1", tws.port, client_id, timeout=WAIT_SECONDS, raiseSyncErrors=True)
        try:
            return await steps(ib)
        finally:
            ib.disconnect()
            await asyncio.sleep(0.05)

    return asyncio.run(connect())


async def wait_for(condition):
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110  # the stand-in is in another thread
            await asyncio.sleep(0.005)


def test_client_connects_and_reads_the_account(tws):
    async def steps(ib):
        assert ib.managedAccounts() == [ACCOUNT]
        summary = await ib.accountSummaryAsync()
        return {(value.tag, value.currency): value.value for value in summary}

    assert run_with_client(steps, tws)["CashBalance", "USD"] == "1000000"


def test_exits_of_a_bracket_wait_until_the_entry_has_filled(tws):
    async def steps(ib):
        bracket = ib.bracketOrder("BUY", 10, limitPrice=95, takeProfitPrice=120, stopLossPrice=80)
        entry, target, stop = [ib.placeOrder(APPLE, order) for order in bracket]
        await wait_for(
            lambda: all(trade.orderStatus.status != "PendingSubmit" for trade in (entry, target, stop))
        )
        waiting = [trade.orderStatus.status for trade in (entry, target, stop)]
        tws.quote("AAPL", "94", "95")
        await wait_for(lambda: target.orderStatus.status == "Submitted")
        tws.quote("AAPL", "120", "121")
        await wait_for(target.isDone)
        return waiting, [trade.order.parentId for trade in (target, stop)], entry.order.orderId

    waiting, parents, entry_id = run_with_client(steps, tws)
    assert waiting == ["Submitted", "PreSubmitted", "PreSubmitted"]
    assert set(parents) == {entry_id}


def test_order_that_is_not_transmitted_does_not_work(tws):
    async def steps(ib):
        ib.placeOrder(APPLE, LimitOrder("BUY", 10, 101, transmit=False))
        await ib.reqPositionsAsync()
        return [order.status for order in tws.exchange.orders], len(tws.exchange.untransmitted)

    assert run_with_client(steps, tws) == ([], 1)
    assert tws.exchange.untransmitted == []


def test_market_order_fills_with_its_execution_and_commission(tws):
    async def steps(ib):
        trade = ib.placeOrder(APPLE, MarketOrder("BUY", 10, orderRef="ours"))
        await wait_for(lambda: trade.fills and trade.fills[0].commissionReport.execId)
        (fill,) = trade.fills
        assert (fill.execution.shares, fill.execution.price, fill.execution.orderRef) == (10, 101, "ours")
        assert (fill.commissionReport.commission, fill.commissionReport.currency) == (1.0, "USD")
        assert trade.orderStatus.status == "Filled"
        (position,) = await ib.reqPositionsAsync()
        assert (position.contract.symbol, position.position, position.avgCost) == ("AAPL", 10, 101)

    run_with_client(steps, tws)


def test_limit_order_rests_is_changed_and_canceled(tws):
    async def steps(ib):
        order = LimitOrder("SELL", 5, 120, tif="GTC")
        trade = ib.placeOrder(APPLE, order)
        await wait_for(lambda: trade.orderStatus.status == "Submitted")
        order.lmtPrice = 125.5
        ib.placeOrder(APPLE, order)
        await wait_for(lambda: tws.exchange.orders[0].limit_price == "125.5")
        *_, open_trade = await ib.reqAllOpenOrdersAsync()
        assert open_trade.order.lmtPrice == 125.5
        ib.cancelOrder(order)
        await wait_for(lambda: trade.orderStatus.status == "Cancelled")

    run_with_client(steps, tws)


def test_stop_order_and_forex_are_taken(tws):
    async def steps(ib):
        currency_pair = Forex("EURUSD")
        bought = ib.placeOrder(currency_pair, MarketOrder("BUY", 20_000))
        stop = ib.placeOrder(currency_pair, StopOrder("SELL", 20_000, 1.05))
        tws.quote("EURUSD", "1.08500", "1.08505")
        await wait_for(lambda: bought.orderStatus.status == "Filled")
        tws.quote("EURUSD", "1.04", "1.0401")
        await wait_for(lambda: stop.orderStatus.status == "Filled")
        assert stop.fills[0].execution.price == 1.04

    run_with_client(steps, tws)
    assert (
        tws.exchange.cash["USD"] == Decimal(1_000_000) - 20_000 * (Decimal("1.08505") - Decimal("1.04")) - 2
    )


def test_next_connection_reads_executions_and_completed_orders(tws):
    async def trade(ib):
        filled = ib.placeOrder(APPLE, MarketOrder("BUY", 10, orderRef="first"))
        await wait_for(lambda: filled.orderStatus.status == "Filled")
        ib.placeOrder(APPLE, LimitOrder("BUY", 10, 90, orderRef="rests"))
        await wait_for(lambda: len(tws.exchange.orders) == 2)

    async def read(ib):
        assert [fill.execution.orderRef for fill in ib.fills()] == ["first"]
        assert [open_trade.order.orderRef for open_trade in ib.openTrades()] == ["rests"]
        (completed,) = await ib.reqCompletedOrdersAsync(apiOnly=False)
        assert (completed.order.orderRef, completed.orderStatus.status) == ("first", "Filled")
        assert completed.order.filledQuantity == 10

    run_with_client(trade, tws)
    run_with_client(read, tws)


def test_rejection_is_reported_with_its_reason(tws):
    tws.faults.add("reject", text="insufficient margin")

    async def steps(ib):
        errors = []
        ib.errorEvent += lambda *args: errors.append(args[1:3])
        trade = ib.placeOrder(APPLE, MarketOrder("BUY", 10))
        await wait_for(lambda: trade.orderStatus.status == "Inactive")
        assert (201, "Order rejected - reason:insufficient margin") in errors

    run_with_client(steps, tws)


def test_client_id_in_use_is_refused(tws):
    async def steps(_):
        second, errors = IB(), []
        second.errorEvent += lambda *args: errors.append(args[1])
        connecting = asyncio.create_task(second.connectAsync("127.0.0.1", tws.port, 1, timeout=WAIT_SECONDS))
        await wait_for(lambda: errors or connecting.done())
        connecting.cancel()
        with pytest.raises((ConnectionError, asyncio.CancelledError)):
            await connecting
        second.disconnect()
        assert errors == [326]

    run_with_client(steps, tws)


def test_correction_of_an_execution_has_the_next_number(tws):
    async def steps(ib):
        trade = ib.placeOrder(APPLE, MarketOrder("BUY", 10))
        await wait_for(lambda: len(trade.fills) == 1)
        (execution,) = tws.exchange.executions
        tws.call(lambda: tws.exchange.correct(execution, "10", "100.5"))
        await wait_for(lambda: len(trade.fills) == 2)
        first, second = (fill.execution.execId for fill in trade.fills)
        assert (first[:-2], second[-2:]) == (second[:-2], "02")

    run_with_client(steps, tws)
