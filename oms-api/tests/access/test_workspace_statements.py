"""A workspace is claimed with a statement of the operator's bot, for one key and once."""

import secrets
import time

import pytest

from app.identity.rules.keys import parse_key_id
from app.identity.rules.workspace_statements import StatementReader, sign_statement
from tests.factories import BOOTSTRAP_KEY, NOON, STATEMENT_SECRET

KEY_ID, NONCE = "k3j9x0q2w7ab", "0" * 32


def create_statement(team="T1", key_id=KEY_ID, at=None, *, secret=STATEMENT_SECRET, nonce=None, version="v1"):
    issued_at = int(time.time() if at is None else at)
    signed = f"{version}:{team}:{key_id}:{issued_at}:{nonce or secrets.token_hex(16)}"
    return f"{signed}:{sign_statement(signed, secret)}"


def read_statement(text, secret=STATEMENT_SECRET):
    return StatementReader(secret).read(text, NOON)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_statement_is_valid_for_five_minutes(seconds):
    statement = read_statement(create_statement(at=NOON.timestamp() + seconds, nonce=NONCE))
    assert statement == ("T1", KEY_ID, NONCE)


SIGNED = create_statement(at=NOON.timestamp(), nonce=NONCE)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (SIGNED, None),
        (SIGNED, "t" * 40),
        (SIGNED.replace("T1", "T2"), STATEMENT_SECRET),
        (SIGNED.replace(KEY_ID, "x" * 12), STATEMENT_SECRET),
        (SIGNED.upper(), STATEMENT_SECRET),
        (SIGNED + "\n", STATEMENT_SECRET),
        (create_statement(at=NOON.timestamp() - 301), STATEMENT_SECRET),
        (create_statement(at=NOON.timestamp() + 301), STATEMENT_SECRET),
        (create_statement(at=NOON.timestamp(), version="v2"), STATEMENT_SECRET),
        (create_statement("T1:T2", at=NOON.timestamp()), STATEMENT_SECRET),
        ("", STATEMENT_SECRET),
    ],
)
def test_statement_with_an_invalid_signature_or_time_is_rejected(text, secret):
    assert read_statement(text, secret) is None


@pytest.fixture
def team(api):
    return f"STATED{api.tenant_id}"


@pytest.fixture
def bot(api):
    return api.with_key(api.service.create_key("act_as", api.tenant_id))


def claim_workspace(bot, team, **changes):
    text = changes.pop("text", None) or create_statement(
        changes.pop("named", team), parse_key_id(bot.key), **changes
    )
    return bot.post("/workspaces:claim", {"team_id": team, "statement": text})


def build_headers(bot, team):
    return bot.get("/trades", {"X-On-Behalf-Of": f"slack:{team}:U1"}).status_code


def test_bot_claims_the_workspace_of_its_token_and_both_tenants_audit_it(api, bot, team):
    assert build_headers(bot, team) == 403
    claimed = claim_workspace(bot, team)
    assert (claimed.status_code, claimed.json()) == (
        201,
        {"team_id": team, "tenant": f"desk-{api.tenant_id}"},
    )
    assert build_headers(bot, team) == 200
    for client in (api, api.with_key(BOOTSTRAP_KEY)):
        (entry,) = [
            item
            for item in client.get("/audit", action="workspace.bound").json()
            if item["target"].endswith(team)
        ]
        assert entry["after"] == {"team_id": team, "tenant": f"desk-{api.tenant_id}"}
    assert claim_workspace(bot, team).status_code == 200, "a new statement of what is so already"


def test_statement_can_be_used_once(api, bot, team):
    text = create_statement(team, parse_key_id(bot.key))
    assert claim_workspace(bot, team, text=text).status_code == 201
    slug = f"desk-{api.tenant_id}"
    assert api.post(f"/tenants/{slug}/workspaces:release", {"team_id": team}).status_code == 200
    repeated = claim_workspace(bot, team, text=text)
    assert repeated.headers["idempotent-replayed"] == "true"
    assert build_headers(bot, team) == 403, "it was answered as before, and binds nothing more"


def test_every_rejected_claim_has_the_same_answer_and_no_effect(api, bot, team, service):
    other = service.create_client()
    claimed_team = f"{team}X"
    other.claim_workspace(claimed_team)
    other_client = other.with_key(service.create_key("act_as", other.tenant_id))
    responses = [
        claim_workspace(bot, claimed_team),  # of another tenant, with a valid statement
        claim_workspace(
            bot, team, text=create_statement(team, parse_key_id(other_client.key))
        ),  # made for another key
        claim_workspace(bot, team, named=claimed_team),  # of another workspace
        claim_workspace(bot, team, secret="t" * 40),  # signed by somebody else
        claim_workspace(bot, team, at=time.time() - 400),
        claim_workspace(bot, team, text="v1:T1"),
        claim_workspace(api, team, text=create_statement(team, parse_key_id(bot.key))),  # an admin's own key
    ]
    bodies = [response.json() for response in responses]
    for body in bodies:
        body.pop("request_id", None)
    assert [response.status_code for response in responses] == [403] * len(responses)
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["type"] == "urn:slackoms:problem/workspace-elsewhere"
    assert (build_headers(bot, team), build_headers(other_client, claimed_team)) == (403, 200)


@pytest.mark.parametrize("scopes", ["read", "trade", "risk"])
def test_key_without_act_as_scope_cannot_claim_a_workspace(api, team, scopes):
    other = api.with_key(api.service.create_key(scopes, api.tenant_id))
    refused = claim_workspace(other, team)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:slackoms:problem/forbidden")


def test_statement_signed_by_the_bot_is_accepted():
    """The bot's own test signs the same values and expects the same text."""
    issued_at, nonce = int(NOON.timestamp()), "0123456789abcdef" * 2
    signature = "a026441082fbdab92ddae93f4799f4e8c1f8b45a27e107d4993a54b79a8c2449"
    text = f"v1:T012AB3C4:k3j9x0q2w7ab:{issued_at}:{nonce}:{signature}"
    assert read_statement(text, "s" * 40) == ("T012AB3C4", "k3j9x0q2w7ab", nonce)
