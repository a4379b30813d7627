"""Group commit: one transaction for all queued commands, in order; answers follow the commit."""

import asyncio

import pytest

from app.errors import Conflict, NotPlaced, OmsError, OutcomeUnknown
from app.group_commit import GroupCommit, queue
from tests.group_commit.note_writer import NoteHandler, RecordedSizes, read_notes, run_writer, submit_all
from tests.support.conditions import WAIT_SECONDS


def test_queued_commands_are_written_in_one_transaction_in_sequence(engine):
    handler, metrics = NoteHandler(), RecordedSizes()
    handler.gate.clear()
    works = ["wait", *map(str, range(50))]
    with run_writer(engine, handler, metrics=metrics) as writer:

        def release():
            assert handler.entered.wait(WAIT_SECONDS)
            handler.gate.set()

        async def run():
            first = writer.submit("wait")
            await asyncio.get_running_loop().run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            futures = [writer.submit(work) for work in works[1:]]
            assert writer.queue_depth == 50
            handler.gate.set()
            return await asyncio.gather(first, *futures)

        assert asyncio.run(run()) == [f"wrote {work}" for work in works]
        assert handler.batches == [["wait"], works[1:]]
        assert read_notes(engine) == works
    assert metrics.sizes == [1, 50]


def test_batch_size_is_limited(engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler, batch_limit=10) as writer:

        async def run():
            first = writer.submit("wait")
            await asyncio.get_running_loop().run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            futures = writer.submit_all([str(number) for number in range(25)])
            handler.gate.set()
            await asyncio.gather(first, *futures)

        asyncio.run(run())
    assert [len(batch) for batch in handler.batches] == [1, 10, 10, 5]
    assert read_notes(engine) == ["wait", *map(str, range(25))]


def test_answer_follows_the_commit(engine):
    with run_writer(engine, NoteHandler()) as writer:

        async def run():
            await writer.submit("a")
            return read_notes(engine)

        assert asyncio.run(run()) == ["a"]


def test_thread_without_an_event_loop_waits_for_the_commit(engine):
    with run_writer(engine, NoteHandler()) as writer:
        assert (writer.write("a"), read_notes(engine)) == ("wrote a", ["a"])
        with pytest.raises(Conflict):
            writer.write("conflict")
    with pytest.raises(NotPlaced, match="stopping"):
        writer.write("b")


def test_commands_of_a_thread_are_written_together_and_refused_one_by_one(engine):
    with run_writer(engine, NoteHandler()) as writer:
        first, refused, last = writer.write_all(["a", "conflict", "b"])
    assert (first, last, read_notes(engine)) == ("wrote a", "wrote b", ["a", "b"])
    assert isinstance(refused, Conflict)


def test_thread_does_not_wait_without_end(engine, monkeypatch):
    monkeypatch.setattr(queue, "RESPONSE_TIMEOUT_SECONDS", 0.01)
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:
        with pytest.raises(OutcomeUnknown):
            writer.write("wait")
        with pytest.raises(OutcomeUnknown):
            writer.write_all(["wait"])
        handler.gate.set()


def test_rejection_affects_only_its_own_command(engine):
    with run_writer(engine, NoteHandler()) as writer:
        outcomes = submit_all(writer, ["a", "conflict", "b"])
    assert (outcomes[0], outcomes[2]) == ("wrote a", "wrote b")
    assert isinstance(outcomes[1], Conflict)
    assert read_notes(engine) == ["a", "b"]


@pytest.mark.parametrize(("bad", "kind"), [("null", "not-placed"), ("defect", "internal")])
def test_command_that_breaks_its_transaction_does_not_affect_others(engine, bad, kind):
    with run_writer(engine, NoteHandler()) as writer:

        async def run():
            return await asyncio.gather(*writer.submit_all(["a", bad, "b"]), return_exceptions=True)

        outcomes = asyncio.run(run())
        assert submit_all(writer, ["after"]) == ["wrote after"]
    assert (outcomes[0], outcomes[2]) == ("wrote a", "wrote b")
    assert isinstance(outcomes[1], OmsError)
    assert outcomes[1].kind == kind
    assert read_notes(engine) == ["a", "b", "after"]


@pytest.mark.parametrize("bad", ["null", "defect"])
def test_one_failing_command_costs_a_logarithmic_number_of_transactions(engine, bad):
    """250 items: the batch, the batch again, and two transactions for each of eight halvings."""
    handler = NoteHandler()
    good = [str(number) for number in range(249)]
    works = [*good[:77], bad, *good[77:]]
    with run_writer(engine, handler, batch_limit=250) as writer:

        async def run():
            return await asyncio.gather(*writer.submit_all(works), return_exceptions=True)

        outcomes = asyncio.run(run())
    assert isinstance(outcomes.pop(77), OmsError)
    assert outcomes == [f"wrote {work}" for work in good]
    assert read_notes(engine) == good
    assert len(handler.batches) <= 2 + 2 * 8


def test_transient_failure_costs_one_more_transaction(engine):
    """Another process stored the key in the meantime: the second transaction finds it."""
    handler = NoteHandler()
    works = ["once", *map(str, range(100))]
    with run_writer(engine, handler, batch_limit=250) as writer:

        async def run():
            return await asyncio.gather(*writer.submit_all(works))

        assert asyncio.run(run()) == [f"wrote {work}" for work in works]
        submit_all(writer, ["next"])
    assert handler.batches == [works, works, ["next"]]
    first, second, third = handler.retained
    assert first is second  # the data that a handler keeps between the attempts
    assert third is not first


def test_retries_have_a_deadline(engine, monkeypatch):
    monkeypatch.setattr("app.group_commit.batch_writer.MAX_RETRY_SECONDS", -1.0)
    with run_writer(engine, NoteHandler()) as writer:

        async def run():
            return await asyncio.gather(*writer.submit_all(["a", "null", "b"]), return_exceptions=True)

        outcomes = asyncio.run(run())
    assert all(isinstance(outcome, NotPlaced) for outcome in outcomes)
    assert read_notes(engine) == []


def test_full_queue_accepts_all_commands_of_a_request_or_none(engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler, queue_limit=3) as writer:

        async def run():
            first = writer.submit("wait")
            await asyncio.get_running_loop().run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            futures = writer.submit_all(["a", "b"])
            with pytest.raises(NotPlaced) as caught:
                writer.submit_all(["c", "d"])
            futures.append(writer.submit("e"))
            with pytest.raises(NotPlaced):
                writer.submit("f")
            handler.gate.set()
            await asyncio.gather(first, *futures)
            return caught.value

        assert asyncio.run(run()).retry_after_seconds == 1
    assert read_notes(engine) == ["wait", "a", "b", "e"]


def test_close_writes_accepted_commands_and_accepts_no_more(engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            loop = asyncio.get_running_loop()
            first = writer.submit("wait")
            await loop.run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            futures = writer.submit_all(["a", "b"])
            closing = loop.run_in_executor(None, writer.close)
            while writer.is_alive:  # noqa: ASYNC110  # the closing thread has no event to wait for
                await asyncio.sleep(0)
            with pytest.raises(NotPlaced):
                writer.submit("c")
            handler.gate.set()
            await closing
            return await asyncio.gather(first, *futures)

        assert asyncio.run(run()) == ["wrote wait", "wrote a", "wrote b"]
    assert read_notes(engine) == ["wait", "a", "b"]


def test_close_rejects_commands_it_cannot_write(engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            loop = asyncio.get_running_loop()
            first = writer.submit("wait")
            await loop.run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            late = writer.submit("late")
            await loop.run_in_executor(None, writer.close, 0.0)
            with pytest.raises(NotPlaced):
                await late
            handler.gate.set()
            return await first

        assert asyncio.run(run()) == "wrote wait"
    assert read_notes(engine) == ["wait"]


def test_disconnected_client_does_not_affect_others(engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            gone, stays = writer.submit_all(["wait", "b"])
            await asyncio.get_running_loop().run_in_executor(None, handler.entered.wait, WAIT_SECONDS)
            gone.cancel()
            handler.gate.set()
            return await stays

        assert asyncio.run(run()) == "wrote b"
    assert read_notes(engine) == ["wait", "b"]


def test_writer_accepts_commands_only_between_start_and_close(engine):
    writer = GroupCommit[str, str](engine, NoteHandler(), 1, 1)
    is_alive = [writer.is_alive]
    writer.start()
    is_alive.append(writer.is_alive)
    writer.close()
    assert [*is_alive, writer.is_alive] == [False, True, False]


def test_handler_is_notified_of_committed_batches_only(engine):
    handler = NoteHandler()
    with run_writer(engine, handler) as writer:
        submit_all(writer, ["first"])
        submit_all(writer, ["null"])
        submit_all(writer, ["second"])
    assert handler.committed == [["first"], ["second"]]


def test_defect_after_a_commit_changes_no_outcome(engine):
    handler = NoteHandler()
    handler.on_commit_fails = True
    with run_writer(engine, handler) as writer:
        assert submit_all(writer, ["first"]) == ["wrote first"]
    assert read_notes(engine) == ["first"]
