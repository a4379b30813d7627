"""The service is stopped, clients disconnect during a request, and the clock changes."""

import json
import socket
from random import Random

from tests.factories import BOOTSTRAP_KEY
from tests.faults.conftest import FaultSetup
from tests.faults.invariant_checks import find_faults
from tests.faults.journal import Intent, Journal
from tests.faults.load import build_trade, resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import OmsProcess, run_services

GRACE_SECONDS = 20.0


def test_stopped_service_answers_or_rejects_every_accepted_request(setup: FaultSetup, journal: Journal):
    oms = setup.oms("slow_commit:50")
    with run_services(oms):
        with run_load(journal, [oms.port], "stop", connections=16):
            wait_for_more(journal, 50)
            oms.stop(GRACE_SECONDS)
        for intent in journal.unresolved():  # no answer confirmed these, so they must not exist
            intent.refused = True
        assert find_faults(journal, setup.database_url) == []
        oms.start()
        setup.assert_books_consistent(journal)


def build_raw_request(intent: Intent) -> bytes:
    """Return the request as it stands on the wire."""
    body = json.dumps(intent.body).encode()
    head = (
        f"POST {intent.path} HTTP/1.1\r\nHost: oms\r\nX-API-Key: {BOOTSTRAP_KEY}\r\n"
        f"Idempotency-Key: {intent.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_and_leave(oms: OmsProcess, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", oms.port), timeout=60) as connection:
        connection.sendall(content)


def test_client_disconnect_during_a_request_leaves_no_partial_trade(setup: FaultSetup, journal: Journal):
    oms, random = setup.oms("slow_commit:20"), Random(0)
    with run_services(oms):
        with run_load(journal, [oms.port], "others", connections=2):
            for number in range(40):
                intent = journal.record_intent(f"left-{number}", "/api/v1/trade", build_trade(random))
                request = build_raw_request(intent)
                is_whole = number % 2 == 0
                intent.refused = not is_whole
                send_and_leave(oms, request if is_whole else request[: -random.randint(1, 60)])
            wait_for_more(journal, 20)
        resolve_open_requests(journal, oms.port)
        setup.assert_books_consistent(journal)


def test_clock_jump_of_ten_minutes_keeps_the_ledger_sequence(setup: FaultSetup, journal: Journal):
    oms = setup.oms("step_clock")
    with run_services(oms):
        with run_load(journal, [oms.port], "jumping"):
            wait_for_more(journal, 100)
        oms.stop()
        oms.fault = ""
        oms.start()
        with run_load(journal, [oms.port], "steady"):
            wait_for_more(journal, 20)
        resolve_open_requests(journal, oms.port)
        setup.assert_books_consistent(journal)
