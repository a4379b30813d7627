"""The service is stopped, clients disconnect during a request, and the clock changes."""

import json
import socket
from random import Random

from tests.factories import BOOTSTRAP_KEY
from tests.faults.conftest import Stage
from tests.faults.journal import Intent, Journal
from tests.faults.judge import judge
from tests.faults.load import load, make_trade, resolve, wait_for_more
from tests.faults.process_control import Oms, running

GRACE_SECONDS = 20.0


def test_stopped_service_answers_or_rejects_every_accepted_request(stage: Stage, journal: Journal):
    oms = stage.oms("slow_commit:50")
    with running(oms):
        with load(journal, [oms.port], "stop", connections=16):
            wait_for_more(journal, 50)
            oms.stop(GRACE_SECONDS)
        for intent in journal.unresolved():  # nobody was told of these, so they must not be there
            intent.refused = True
        assert judge(journal, stage.database_url) == []
        oms.start()
        stage.assert_books_consistent(journal)


def raw_request(intent: Intent) -> bytes:
    """Return the request as it stands on the wire."""
    body = json.dumps(intent.body).encode()
    head = (
        f"POST {intent.path} HTTP/1.1\r\nHost: oms\r\nX-API-Key: {BOOTSTRAP_KEY}\r\n"
        f"Idempotency-Key: {intent.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_and_leave(oms: Oms, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", oms.port), timeout=5) as connection:
        connection.sendall(content)


def test_client_disconnect_during_a_request_leaves_no_partial_trade(stage: Stage, journal: Journal):
    oms, random = stage.oms("slow_commit:20"), Random(0)
    with running(oms):
        with load(journal, [oms.port], "others", connections=2):
            for number in range(40):
                intent = journal.intend(f"left-{number}", "/api/v1/trade", make_trade(random))
                request = raw_request(intent)
                is_whole = number % 2 == 0
                intent.refused = not is_whole
                send_and_leave(oms, request if is_whole else request[: -random.randint(1, 60)])
            wait_for_more(journal, 20)
        resolve(journal, oms.port)
        stage.assert_books_consistent(journal)


def test_clock_jump_of_ten_minutes_keeps_the_ledger_sequence(stage: Stage, journal: Journal):
    oms = stage.oms("step_clock")
    with running(oms):
        with load(journal, [oms.port], "jumping"):
            wait_for_more(journal, 100)
        oms.stop()
        oms.fault = ""
        oms.start()
        with load(journal, [oms.port], "steady"):
            wait_for_more(journal, 20)
        resolve(journal, oms.port)
        stage.assert_books_consistent(journal)
