"""A program of a child that lets the strategy's class answer requests."""

from app.sandbox.child.requests import serve_requests
from app.sandbox.child.strategies import load_class
from app.sandbox.rules.frames import Frame


def prepare(options):
    """Return the program."""

    def run(environment):
        answer = getattr(load_class(environment.source), "answer")  # noqa: B009  # no strategy declares it

        def handle(fields):
            if fields["n"] < 0:
                environment.channel.send(Frame("else", {}))
            return {"n": answer(fields["n"]) + options["more"]}

        serve_requests(environment, handle)

    return run
