"""Creates, from the settings, the keys that encrypt secrets and the policies for addresses outside."""

from app.config import Settings
from app.encryption import EncryptionKeys, derive_key_ring, parse_key_ring
from app.webhooks.rules.addresses import AddressPolicy


def create_key_ring(settings: Settings) -> EncryptionKeys:
    """Return the keys that encrypt secrets in the database: WEBHOOK_KEYS, then keys of OMS_API_KEY."""
    secrets = [settings.oms_api_key, *filter(None, (settings.oms_api_key_previous,))]
    own = {} if settings.webhook_keys is None else parse_key_ring(settings.webhook_keys)
    return EncryptionKeys(own | derive_key_ring(secrets, "webhooks"))


def create_broker_key_ring(settings: Settings) -> EncryptionKeys:
    """Return the keys that encrypt the credentials of brokers: BROKER_KEYS, then keys of OMS_API_KEY."""
    secrets = [settings.oms_api_key, *filter(None, (settings.oms_api_key_previous,))]
    own = {} if settings.broker_keys is None else parse_key_ring(settings.broker_keys)
    return EncryptionKeys(own | derive_key_ring(secrets, "brokers"))


def create_broker_address_policy(settings: Settings) -> AddressPolicy:
    """Return the exceptions of this installation for the addresses of brokers."""
    return AddressPolicy(
        frozenset(settings.broker_internal_urls), allows_loopback=settings.is_on_developer_machine
    )


def create_address_policy(settings: Settings) -> AddressPolicy:
    """Return the exceptions of this installation for the URLs of webhooks."""
    return AddressPolicy(
        frozenset(settings.webhook_internal_urls), allows_loopback=settings.is_on_developer_machine
    )
