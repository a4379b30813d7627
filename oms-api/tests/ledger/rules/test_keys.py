"""Idempotency keys of trades that adopt positions."""

from app.ledger.rules.keys import build_adoption_key, is_adoption_key


def test_only_adoption_keys_are_recognized():
    assert is_adoption_key(build_adoption_key("I17"))
    assert not is_adoption_key("I17")
    assert not is_adoption_key(None)
