"""The bot claims its operator's workspace at start."""

import re
import time
from dataclasses import replace

import pytest

from app.delivery.send_queue import SendQueue
from app.delivery.slack_api import SlackApi
from app.oms_client import OmsClient
from app.oms_client.statement import sign_statement
from app.services.dependencies import Services
from app.services.settings.workspace_claim import run_workspace_claim
from tests import factories
from tests.conftest import WAITS
from tests.fakes import Response, build_problem
from tests.oms_client.statement_keys import STATEMENT_KEY

CLAIM = "/workspaces:claim"
CLAIMED = Response(201, {"team_id": "T1", "tenant": "alpha"})


@pytest.fixture
def services(slack, oms):
    settings = factories.build_settings(
        slack.api_url, oms.url, oms_api_key=STATEMENT_KEY, bot_statement_secret="s" * 40
    )
    waits = replace(WAITS, claim_every=0.01)
    services = Services(
        oms=OmsClient(settings), slack=SlackApi(settings), send_queue=SendQueue(), waits=waits
    )
    yield services
    services.stop(1.0)


def test_workspace_of_the_token_is_claimed_with_a_signed_statement_without_a_person(services, slack, oms):
    oms.queue_responses(CLAIM, CLAIMED)
    run_workspace_claim(services)
    (call,) = oms.list_requests(CLAIM)
    assert len(slack.list_requests("auth.test")) == 1
    assert "x-on-behalf-of" not in call.headers
    assert call.body["team_id"] == "T1"
    match = re.fullmatch(r"v1:T1:k3j9x0q2w7ab:(\d+):([0-9a-f]{32}):[0-9a-f]{64}", call.body["statement"])
    assert match
    issued_at = int(match[1])
    assert abs(issued_at - time.time()) < 60
    expected = sign_statement("T1", "k3j9x0q2w7ab", "s" * 40, issued_at=issued_at, nonce=match[2])
    assert call.body["statement"] == expected


def test_claim_is_retried_with_a_new_statement_until_both_services_respond(services, slack, oms):
    slack.queue_responses("auth.test", Response(500))
    services.slack.installation._clock = iter(range(0, 1000, 10)).__next__
    oms.queue_responses(CLAIM, Response(503), Response(drop=True), CLAIMED)
    run_workspace_claim(services)
    assert len({call.body["statement"] for call in oms.list_requests(CLAIM)}) == 3


def test_refusal_is_logged_once_and_not_repeated(services, oms, caplog):
    oms.queue_responses(CLAIM, build_problem(403, "no", kind="workspace-elsewhere"))
    run_workspace_claim(services)
    assert [record.message for record in caplog.records] == ["Workspace not claimed"]
    assert len(oms.list_requests(CLAIM)) == 1


def test_bot_that_stops_claims_nothing(services, oms):
    services.stopping.set()
    run_workspace_claim(services)
    assert oms.calls == []
