"""Events with the signature of the OMS."""

import base64
import hashlib
import hmac
import time

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()


def sign_event(body, message_id="e1", at=None, secret=SECRET):
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
