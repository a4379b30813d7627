"""Passwords: the rules, and hashing with argon2id, two at a time, with a bounded queue."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database.thread_pool import BoundedThreadPool
from app.errors import Invalid, Unavailable
from app.identity.rules.passwords import (
    MAX_LENGTH,
    MIN_LENGTH,
    RECOMMENDED_LENGTH,
    find_password_error,
    is_common,
    normalize_password,
)
from app.identity.service import passwords as service
from app.identity.service.passwords import (
    PLACEHOLDER_HASH,
    Passwords,
    load_common_passwords,
    require_strong_password,
)

GOOD = "violet kettle marches north"
COMMON = frozenset({"dragon", "letmein", "password", "sunshine"})
ALICE = ("Alice Wonderley", "alice.w@example.com")


def check_password(password, own=()):
    error = find_password_error(password, own, COMMON)
    return error.code if error else None


@pytest.fixture
def password_checker():
    passwords = Passwords()
    yield passwords
    passwords.close()


# Which will do


@pytest.mark.parametrize(
    "password", [GOOD, "Tr0mb7ne", "пароль-от-двери", "x7 q", "🐢" * 3 + "orbit", "vK3 9-_/"]
)
def test_long_uncommon_password_is_accepted(password):
    assert check_password(password) == (None if len(password) >= MIN_LENGTH else "password_too_short")


def test_password_has_8_to_1024_characters():
    long = "".join(chr(0x4E00 + index * 7) for index in range(MAX_LENGTH + 1))
    assert (MIN_LENGTH, MAX_LENGTH) == (8, 1024)
    assert check_password(long[:7]) == "password_too_short"
    assert check_password(long[:8]) is None
    assert check_password(long[:MAX_LENGTH]) is None
    assert check_password(long) == "password_too_long"


def test_rejection_recommends_a_password_length():
    for password in ("short", "password", "alice-wonderley"):
        error = find_password_error(password, ALICE, COMMON)
        assert error is not None
        assert error.field == "password"
        assert str(RECOMMENDED_LENGTH) in error.message


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PASSWORD",
        "Password1",
        "p@ssw0rd",
        "P@55w0rd!",
        "dragon2024",
        "2024dragon",
        "12dragon!!",
        "dragondragon",
        "letmein!",
        "sunsh1ne",
        "aaaaaaaa",
        "abcabcabc",
        "12121212",
        "12345678",
        "123456789012",
        "87654321",
        "qwertyuiop",
        "qwerty123",
        "poiuytrewq",
        "abcdefgh1",
        "1qaz2wsx",
        "asdfghjkl",
        "19841231",
        "5551234567",
    ],
)
def test_common_password_is_rejected(password):
    assert check_password(password) == "password_common"


@pytest.mark.parametrize(
    "password", ["dragonfruit-lamp", "a dragon I knew", "dragon20245", "abcd-then-zebra", "dragons4me"]
)
def test_common_word_within_a_longer_password_is_accepted(password):
    assert check_password(password) is None


@pytest.mark.parametrize(
    "password", ["alice.w@example.com", "AliceWonderley", "wonderley99", "Alice!2024", "example-alice"]
)
def test_password_equal_to_own_name_or_email_is_rejected(password):
    assert check_password(password, ALICE) == "password_own"
    assert check_password(password, ("Bob", "bob@elsewhere.org")) is None


def test_name_within_a_longer_password_is_accepted():
    assert check_password("alice rides the tram", ALICE) is None


@given(st.text(max_size=40))
def test_password_check_handles_any_text(text):
    assert is_common(text.casefold(), COMMON) in {True, False}
    find_password_error(text, [text], COMMON)


def test_composed_and_decomposed_characters_are_the_same_password():
    assert normalize_password("cafe\u0301 au lait") == normalize_password("caf\u00e9 au lait")
    assert normalize_password(" \ufb01ne print ") == " \ufb01ne print "  # nothing else is folded or trimmed


def test_common_password_list_is_lower_case_and_long_enough():
    passwords = load_common_passwords()
    assert {"password", "iloveyou", "liverpool", "slackoms"} <= passwords
    assert len(passwords) > 2000
    assert all(word == word.casefold() and len(word) >= 4 for word in passwords)


def test_password_rejection_names_the_field_and_the_reason():
    require_strong_password(GOOD, ALICE)
    with pytest.raises(Invalid) as caught:
        require_strong_password("iloveyou2", ALICE)
    assert [error.field for error in caught.value.errors] == ["password"]
    assert "iloveyou2" not in str(caught.value)


# Hashing of passwords


def test_password_matches_only_its_own_hash(password_checker):
    async def run():
        stored = await password_checker.hash(GOOD)
        same = await password_checker.verify(stored, GOOD)
        other_results = [
            await password_checker.verify(stored, other) for other in (GOOD + " ", GOOD.upper(), "")
        ]
        return stored, same, other_results

    stored, same, other_results = asyncio.run(run())
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in stored
    assert (same.is_correct, same.new_hash) == (True, None)
    assert [verdict.is_correct for verdict in other_results] == [False] * 3


def test_hashes_of_one_password_differ(password_checker):
    async def run():
        return await password_checker.hash(GOOD), await password_checker.hash(GOOD)

    first, second = asyncio.run(run())
    assert first != second


def test_long_password_is_not_truncated(password_checker):
    async def run():
        long = "é" * (MAX_LENGTH - 1)
        return await password_checker.verify(await password_checker.hash(long + "a"), long + "b")

    assert not asyncio.run(run()).is_correct


def test_nul_character_does_not_truncate_the_password(password_checker):
    async def run():
        return await password_checker.verify(
            await password_checker.hash("left\0right-one"), "left\0right-two"
        )

    assert not asyncio.run(run()).is_correct


def test_composed_and_decomposed_passwords_match_the_same_hash(password_checker):
    async def run():
        return await password_checker.verify(
            await password_checker.hash("cafe\u0301 au lait"), "caf\u00e9 au lait"
        )

    assert asyncio.run(run()).is_correct


def test_dummy_hash_has_the_same_parameters_and_never_matches(password_checker, monkeypatch):
    verified = []
    hasher = service._get_hasher()

    class Counting:
        def verify(self, stored, password):
            verified.append(stored)
            return hasher.verify(stored, password)

    monkeypatch.setattr(service, "_get_hasher", Counting)
    assert not asyncio.run(password_checker.verify(None, GOOD)).is_correct
    assert verified == [PLACEHOLDER_HASH]
    assert not hasher.check_needs_rehash(PLACEHOLDER_HASH)


def test_password_of_the_dummy_hash_does_not_log_in(password_checker, monkeypatch):
    monkeypatch.setattr(service, "PLACEHOLDER_HASH", asyncio.run(password_checker.hash(GOOD)))
    assert not asyncio.run(password_checker.verify(None, GOOD)).is_correct


def test_outdated_hash_is_recomputed_when_it_matches(password_checker):
    from argon2 import PasswordHasher  # noqa: PLC0415  # as the service does

    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    matched = asyncio.run(password_checker.verify(weak, GOOD))
    assert matched.new_hash is not None
    assert asyncio.run(password_checker.verify(matched.new_hash, GOOD)) == (True, None)
    assert asyncio.run(password_checker.verify(weak, "another")) == (False, None)


def test_malformed_hash_matches_nothing(password_checker):
    assert not asyncio.run(password_checker.verify("not a hash", GOOD)).is_correct


def test_hashing_runs_outside_the_event_loop(password_checker, monkeypatch):
    where = []

    class Noting:
        def hash(self, _):
            where.append(threading.current_thread())
            return "hash"

    monkeypatch.setattr(service, "_get_hasher", Noting)
    asyncio.run(password_checker.hash(GOOD))
    assert where[0] is not threading.main_thread()


# The queue


class BlockedWork:
    """Work that blocks until it is released, and counts how many calls run at once."""

    def __init__(self) -> None:
        self.opened, self.entered = threading.Event(), threading.Event()
        self.inside, self.most = 0, 0
        self.lock = threading.Lock()

    def work(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.set()
        self.opened.wait(60)
        with self.lock:
            self.inside -= 1
        return True


def test_two_hashes_run_at_once_and_a_full_queue_returns_503():
    door, threads = BlockedWork(), BoundedThreadPool(2, 3, "test", "too many")

    async def run():
        tasks = [asyncio.create_task(threads.run(door.work)) for _ in range(9)]
        refused, _ = await asyncio.wait(tasks, timeout=60, return_when=asyncio.FIRST_EXCEPTION)
        assert all(isinstance(task.exception(), Unavailable) for task in refused)
        door.opened.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(run())
    threads.close()
    assert results.count(True) == 5
    refusals = [result for result in results if isinstance(result, Unavailable)]
    assert [refusal.retry_after_seconds for refusal in refusals] == [1] * 4
    assert door.most == 2


def test_cancelled_waiter_frees_no_slot_before_its_work_ends():
    door, threads = BlockedWork(), BoundedThreadPool(1, 0, "test", "too many")

    async def run():
        task = asyncio.create_task(threads.run(door.work))
        await asyncio.to_thread(door.entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Unavailable):
            await threads.run(door.work)

    asyncio.run(run())
    door.opened.set()
    threads.close()


def test_failed_hash_raises_and_frees_its_slot():
    threads = BoundedThreadPool(1, 0, "test", "too many")

    def fail():
        raise KeyError("what")

    async def run():
        for _ in range(3):
            with pytest.raises(KeyError):
                await threads.run(fail)

    asyncio.run(run())
    threads.close()


def test_closed_hasher_accepts_no_work():
    threads = BoundedThreadPool(1, 1, "test", "too many")
    threads.close()
    with pytest.raises(Unavailable):
        asyncio.run(threads.run(lambda: 1))
