"""Errors of webhooks."""

from app.errors import Conflict, FieldError, Invalid, NotFound


class NoSuchWebhook(NotFound):
    """Raised when the tenant has no such webhook, or it belongs to another program."""

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"There is no webhook {webhook_id!r}; list them with `GET /webhooks`.")


class NoSuchDelivery(NotFound):
    """Raised when the webhook has no such delivery."""

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"The webhook has no delivery {delivery_id!r}; list its deliveries first.")


class WebhookNameTaken(Conflict):
    """Raised when a webhook of another program has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The webhook {name!r} belongs to another program; choose another name.")


class TooManyWebhooks(Conflict):
    """Raised when the tenant has the maximum number of webhooks."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant has at most {limit} webhooks; delete one first.")


class WebhookDisabled(Conflict):
    """Raised when something is to be sent to a disabled webhook."""

    sentence = "The webhook is disabled; enable it first."


class UrlNotAllowed(Invalid):
    """Raised when a webhook may not have the URL."""

    def __init__(self, message: str) -> None:
        super().__init__("1 field is not valid; see `errors`.", [FieldError("url", message, "url")])
