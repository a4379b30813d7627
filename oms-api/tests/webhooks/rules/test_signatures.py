"""Signatures of deliveries."""

from app.webhooks.rules.signatures import format_secret, sign_message


def test_signature_is_the_one_of_standard_webhooks():
    """The example of the specification."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign_message([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected
    both = sign_message([secret, format_secret(b"x" * 32)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert both.startswith(f"{expected} v1,")
