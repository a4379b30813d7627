"""Compare a strategy with a replay of its journal: `python -m app.parity NAME --from --to --json`.

The replay runs the code on the inputs that the strategy received. Orders must be the same, and each fill of
the paper market must equal the result of the backtests' matching at the quote of its time.

Exit status: 0 nothing differs, 1 there are differences, 2 there is no journal.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.assembly.components import create_market
from app.brokers.paper.environment import load_paper_settings
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.command_line import CANNOT, open_database, run_program
from app.config import Settings, load_settings
from app.database import set_tenant_scope, snapshot
from app.errors import OmsError
from app.identity.queries.tenants import find_tenant
from app.identity.rules.access import FIRST_TENANT
from app.strategies.queries.registry import find_strategy
from app.strategies.service.environment import create_code_catalog
from app.strategies.service.parity import NoJournal, ParityChecker, ParityReport, iterate_differences
from app.strategies.service.runner_factory import RunnerFactory

SAME, DIFFERENT = 0, 1


def parse_instant(text: str) -> datetime:
    """Return a date or a time in UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be such as 2026-01-31T15:04Z") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m app.parity", description="Compare a strategy with a replay of its journal."
    )
    parser.add_argument("name", metavar="NAME", help="the strategy")
    parser.add_argument("--from", dest="since", type=parse_instant, help="by default a day ago")
    parser.add_argument("--to", dest="until", type=parse_instant, help="the first instant that is left out")
    parser.add_argument("--tenant", help="the slug of the tenant; by default the first")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser


def compare_with_replay(settings: Settings, namespace: argparse.Namespace) -> ParityReport:
    """Compare a strategy with the replay of its journal. Raises NoJournal."""
    now = SteadyClock()()
    with open_database(settings) as (engine, readers), snapshot(engine) as connection:
        tenant = None if namespace.tenant is None else find_tenant(connection, namespace.tenant)
        if namespace.tenant is not None and tenant is None:
            raise NoJournal(f"There is no tenant {namespace.tenant!r}.")
        tenant_id = FIRST_TENANT if tenant is None else tenant.id
        strategy = find_strategy(set_tenant_scope(connection, [tenant_id]), tenant_id, namespace.name)
        if strategy is None:
            raise NoJournal(f"There is no strategy {namespace.name!r}.")
        market = create_market(settings, engine, readers, Calendars.load())
        runners = RunnerFactory(create_code_catalog(settings))
        checker = ParityChecker(market, runners, load_paper_settings(settings))
        since, until = namespace.since or now - timedelta(days=1), namespace.until or now
        return checker.compare(connection, strategy.strategy, since, until)


def print_report(report: ParityReport, *, as_json: bool) -> None:
    """Print the differences."""
    compared = {"orders": report.orders, "fills": report.fills}
    differences = list(iterate_differences(report))
    if as_json:
        sys.stdout.write(f"{json.dumps({'compared': compared, 'differences': differences})}\n")
        return
    for difference in differences:
        values = f"{difference['ours']} instead of {difference['replayed']}"
        sys.stdout.write(f"{difference['order_id']}, {difference['kind']}: {values}. {difference['cause']}\n")
    counts = f"{report.orders} orders and {report.fills} fills"
    sys.stdout.write(f"{counts} were compared: {len(differences)} differences.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and return the exit status."""
    args = build_parser().parse_args(arguments)

    def work() -> int:
        try:
            report = compare_with_replay(load_settings(), args)
        except OmsError as error:
            sys.stderr.write(f"{error.errors[0].message if error.errors else error.detail}\n")
            return CANNOT
        print_report(report, as_json=args.json)
        return DIFFERENT if report.differences else SAME

    return run_program(work, NoJournal)


if __name__ == "__main__":
    sys.exit(main())
