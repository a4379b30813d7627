"""An active strategy, and a host that tests drive step by step."""

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import orjson

from app.brokers.rules.settings import IDEAL_MARKET
from app.clock import utc_now
from app.database import set_tenant_scope, snapshot
from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.values import Bar
from app.strategies.queries.journal import find_state, iterate_inputs
from app.strategies.queries.registry import find_strategy
from app.strategies.rules.journal import InputKind, NewInput
from app.strategies.rules.journal_values import serialize_bars
from app.strategies.service.code_catalog import CodeCatalog
from app.strategies.service.code_inspection import CodeInspector
from app.strategies.service.host import StrategyHost, run_session
from app.strategies.service.order_gateway import OrderGateway
from app.strategies.service.parity import ParityChecker
from app.strategies.service.runner_factory import RunnerFactory
from app.strategies.service.sandboxed_runner import LIMITS

MINUTE = timedelta(minutes=1)
PAST = get_bar_start(utc_now(), Interval.MINUTE)


class StrategySetup:
    """A desk with an active strategy, and a host that tests drive step by step."""

    def __init__(self, api, host, runners, loop, name="counter"):
        self.api, self.host, self.runners, self.loop, self.name = api, host, runners, loop, name
        self.gateway = OrderGateway(api.service.app.state.order_service, loop)

    def read(self, query):
        with snapshot(self.api.service.engine) as connection:
            return query(set_tenant_scope(connection, [self.api.tenant_id]))

    @property
    def listed(self):
        return self.read(lambda connection: find_strategy(connection, self.api.tenant_id, self.name))

    @property
    def shown(self):
        return self.api.get(f"/strategies/{self.name}").json()

    @property
    def inputs(self):
        return self.read(lambda connection: list(iterate_inputs(connection, self.api.tenant_id, self.name)))

    @property
    def state(self):
        state = self.read(lambda connection: find_state(connection, self.api.tenant_id, self.name))
        return orjson.loads(state.state)["saved"]

    @property
    def orders(self):
        return self.api.get("/orders", strategy=self.name).json()

    def start(self):
        session = self.host.create_session(self.listed, self.gateway)
        session.start()
        return session


def build_bar_input(number, price="100"):
    """Return the input of a bar."""
    start = PAST + number * MINUTE
    bar = Bar("AAPL", start, *[Decimal(price)] * 4)
    payload = {"bars": [serialize_bars("AAPL", 60, [bar])]}
    return NewInput(InputKind.BARS, utc_now(), orjson.dumps(payload).decode())


def run_inputs(stage, inputs):
    """Run a session as the host does, with these inputs, until it ends."""
    real, remaining_inputs = stage.host.create_session, list(inputs)

    def create(listed, gateway):
        session = real(listed, gateway)
        step = session.run_step
        session.run_step = lambda: (
            bool(session.deliver([remaining_inputs.pop(0)])) if remaining_inputs else step()
        )
        return session

    stage.host.create_session = create
    idle = iter(range(2 * len(inputs) + 8))
    run_session(stage.host, stage.listed, stage.gateway, lambda _: next(idle, None) is None)


def compare_with_replay(stage, name=None):
    """Compare the strategy with the replay of its journal."""
    checker = ParityChecker(stage.api.service.app.state.market, stage.runners, IDEAL_MARKET)
    strategy, end = stage.listed.strategy._replace(name=name or stage.name), utc_now() + timedelta(hours=1)
    return stage.read(lambda connection: checker.compare(connection, strategy, PAST - MINUTE, end))


@contextmanager
def use_catalog(api, catalog):
    """Let the service register the code of a catalog."""
    state = api.service.app.state
    previous_inspector, state.code_inspector = state.code_inspector, CodeInspector(catalog)
    try:
        yield
    finally:
        state.code_inspector = previous_inspector


def create_strategy_setup(api, loop, policy, entry_point, name="counter", limits=LIMITS, **parameters):
    """Return a stage with a portfolio, a price and an active strategy of its own."""
    service, state = api.service, api.service.app.state
    catalog = CodeCatalog([entry_point.partition(":")[0]], policy)
    runners = RunnerFactory(catalog, limits)
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    code = {"name": name, "entry_point": entry_point, "portfolio": "Growth", "symbols": ["AAPL"]}
    with use_catalog(api, catalog):
        response = api.post("/strategies", code | {"parameters": parameters})
        assert response.status_code == 201, response.text
    assert api.post(f"/strategies/{name}:start", {}).status_code == 200
    services, started = (state.readers, state.market, state.order_service), utc_now()
    # Its clock stands still. Otherwise the quotes of the test would be a bar when a minute ends.
    host = StrategyHost(service.engine, *services, runners, lambda: started)
    return StrategySetup(api, host, runners, loop, name)
