"""The statement that claims a workspace has the format that the OMS reads."""

import pytest

from app.oms_client import OmsClient
from app.oms_client.statement import get_key_id, sign_statement
from tests import factories
from tests.oms_client.statement_keys import STATEMENT_KEY

NONCE = "0123456789abcdef" * 2


def test_statement_equals_the_text_that_the_oms_reads():
    """The test of the OMS expects the same text for the same values."""
    signature = "a026441082fbdab92ddae93f4799f4e8c1f8b45a27e107d4993a54b79a8c2449"
    expected = f"v1:T012AB3C4:k3j9x0q2w7ab:1795176000:{NONCE}:{signature}"
    assert (
        sign_statement("T012AB3C4", "k3j9x0q2w7ab", "s" * 40, issued_at=1795176000, nonce=NONCE) == expected
    )


@pytest.mark.parametrize(
    ("key", "secret", "can"),
    [(STATEMENT_KEY, "s" * 40, True), (STATEMENT_KEY, "", False), ("k" * 40, "s" * 40, True)],
)
def test_only_a_bot_with_the_secret_can_claim_its_workspace(key, secret, can):
    settings = factories.build_settings(oms_api_key=key, bot_statement_secret=secret)
    client = OmsClient(settings)
    assert client.can_claim_workspace is can
    client.close()
    assert not secret or secret not in repr(settings)


def test_key_id_equals_that_of_the_oms():
    """The test of the OMS expects the same ids for the same keys."""
    assert get_key_id(STATEMENT_KEY) == "k3j9x0q2w7ab"
    assert get_key_id("k" * 40) == "dc4c5d17d972"
