"""The program of a strategy on paper and live: it responds to each input of the host with a reaction."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.child.main import ChildEnvironment, Program
from app.sandbox.child.requests import serve_requests
from app.sandbox.child.strategies import load_class
from app.sandbox.child.watchdog import ChildWatchdog
from app.sandbox.rules.frames import Frame
from app.strategies.rules.reaction_frames import pack_reaction, parse_input
from app.strategies.service.runner import InProcessRunner


def prepare(options: Mapping[str, Any]) -> Program:
    """Return the program for the strategy with the given parameters."""
    parameters, symbols = dict(options["parameters"]), list(options["symbols"])

    def run(environment: ChildEnvironment) -> None:
        watchdog = ChildWatchdog(environment.limits, lambda: 0)
        watchdog.start()
        strategy = load_class(environment.source)(**parameters)
        runner = InProcessRunner(strategy, options["id"], options["name"], symbols)
        watchdog.stop()
        fields = {"uses_quotes": runner.uses_quotes, "log": environment.output.take()}
        environment.channel.send(Frame("loaded", fields))

        def react(fields: Mapping[str, Any]) -> dict[str, Any]:
            journal_input = parse_input(fields)
            return pack_reaction(journal_input.sequence, runner.deliver(journal_input))

        serve_requests(environment, react)

    return run
