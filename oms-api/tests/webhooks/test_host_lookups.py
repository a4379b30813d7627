"""Slow name servers of a tenant delay only that tenant."""

import asyncio

import pytest

from app.webhooks.service.host_lookups import HostLookups, LookupKey

SECONDS = 60.0


class SlowServers:
    """Resolves hosts that start with "slow" when the test says so."""

    def __init__(self):
        self.asked, self.answered = [], asyncio.Event()

    async def resolve(self, host, _port):
        self.asked.append(host)
        if host.startswith("slow"):
            await self.answered.wait()
        if host == "unknown":
            raise OSError("no such name")
        return ["93.184.216.34"]


def run_async(test):
    asyncio.run(asyncio.wait_for(test(), SECONDS))


def test_tenant_with_slow_name_servers_delays_no_other_tenant():
    async def test():
        servers = SlowServers()
        lookups = HostLookups(servers.resolve, limit=2)
        slow = [
            asyncio.create_task(lookups.find_addresses(LookupKey(1, f"slow{number}", 443)))
            for number in range(5)
        ]
        await asyncio.sleep(0)
        assert await lookups.find_addresses(LookupKey(2, "quick", 443)) == ["93.184.216.34"]
        assert servers.asked == ["slow0", "slow1", "quick"]
        servers.answered.set()
        await asyncio.gather(*slow)
        assert len(servers.asked) == 6

    run_async(test)


def test_lookup_that_was_given_up_counts_until_its_thread_is_done():
    async def test():
        servers = SlowServers()
        lookups = HostLookups(servers.resolve, limit=1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await lookups.find_addresses(LookupKey(1, "slow", 443))
        assert servers.asked == ["slow"]
        waiting = asyncio.create_task(lookups.find_addresses(LookupKey(1, "quick", 443)))
        await asyncio.sleep(0.01)
        assert servers.asked == ["slow"]
        servers.answered.set()
        await waiting
        assert servers.asked == ["slow", "quick"]

    run_async(test)


def test_requests_to_one_host_share_a_lookup_and_its_failure():
    async def test():
        servers = SlowServers()
        lookups = HostLookups(servers.resolve)
        key = LookupKey(1, "unknown", 443)
        results = await asyncio.gather(
            *(lookups.find_addresses(key) for _ in range(8)), return_exceptions=True
        )
        assert {type(result) for result in results} == {OSError}
        assert servers.asked == ["unknown"]

    run_async(test)
