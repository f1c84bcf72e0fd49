"""Queues and predictors with threads of their own: the bits of single predictions, from any number of threads and tasks."""

import asyncio
import concurrent.futures
import contextlib
import threading
import time

import pytest

import kluere
import made_up

numpy = pytest.importorskip("numpy")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]
MINUTE = 60_000_000  # microseconds


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    # The context's own threads: what "0" means for workers does not depend on the machine.
    context = kluere.Context(threads=2)
    return made_up.model(tmp_path_factory.mktemp("queue"), labels=LABELS, context=context, initializer_range=0.4)


@pytest.fixture(scope="module")
def rows():
    return made_up.examples(48, LABELS, seed=9, longest=20)


@pytest.fixture(scope="module")
def expected(model, rows):
    """Each row predicted alone."""
    return numpy.stack([model.predict(row) for row in rows])


def in_threads(count, body):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(body, range(count)))


@pytest.mark.parametrize(
    "options", [{}, dict(threads=1), dict(threads=1, workers=3, max_delay_us=500, max_batch_rows=5), dict(max_delay_us=300)]
)
def test_sixteen_threads_get_the_bits_of_single_predictions(model, rows, expected, options):
    with kluere.Queue(model, **options) as queue:
        assert queue.stats().requests == 0

        def client(number):
            for turn in range(12):
                i = (5 * number + 7 * turn) % (len(rows) - 2)
                assert numpy.array_equal(queue.predict(rows[i], timeout=60), expected[i])
                assert numpy.array_equal(queue.predict(rows[i : i + 3]), expected[i : i + 3])
                with pytest.raises(kluere.InvalidArgument, match=r"examples\[1\].*same span"):
                    bad = kluere.Example(rows[i].text, rows[i].subject, rows[i].subject)
                    queue.predict([rows[i], bad])

        in_threads(16, client)
        stats = queue.stats(reset=True)
        assert (stats.requests, stats.rows, stats.failed) == (16 * 12 * 2, 16 * 12 * 4, 16 * 12)
        assert stats.refused == stats.late == stats.waiting == 0
        assert stats.batches * stats.rows_per_batch == pytest.approx(stats.rows)
        assert 0 < stats.latency_p50 <= stats.latency_p95 <= stats.latency_p99 <= stats.latency_max <= stats.seconds
        assert stats.rows_per_second == pytest.approx(stats.rows / stats.seconds)
        assert queue.stats().requests == 0


@pytest.mark.parametrize("options", [{}, dict(threads=1, max_delay_us=500)])
def test_requests_for_pairs_of_one_sentence_share_its_text(tmp_path, rows, options):
    """Of several callers, and beside other sentences: rows that are merged keep their markers."""
    model = made_up.model(
        tmp_path, labels=LABELS, input_form="typed_levitated_marker", head="entity_start", initializer_range=0.4,
        context=kluere.Context(threads=2),
    )
    text, spans = "가나 다라마, 바사 아자.", [(0, 2, "PER"), (3, 6, "ORG"), (8, 10, "DAT")]
    mixed = [kluere.Example(text, a, b) for a in spans for b in spans if a is not b] + rows[:6]
    expected = numpy.stack([model.predict(row) for row in mixed])
    assert len({row.tobytes() for row in expected}) == 12
    with kluere.Queue(model, **options) as queue:

        def client(number):
            for turn in range(8):
                i = (5 * number + 7 * turn) % 10
                assert numpy.array_equal(queue.predict(mixed[i : i + 1 + turn % 3]), expected[i : i + 1 + turn % 3])

        in_threads(8, client)


def test_requests_are_merged_and_answered_once_the_batch_is_full(model, rows, expected):
    with kluere.Queue(model, max_delay_us=MINUTE, max_batch_rows=16) as queue:
        found = in_threads(16, lambda i: queue.predict(rows[i]))
        assert numpy.array_equal(numpy.stack(found), expected[:16])
        stats = queue.stats()
        assert stats.batches == 1 and stats.rows_per_batch == 16


def test_logits_and_other_options_are_those_of_a_predictor(model, rows):
    with kluere.Queue(model, output="logits", batch_tokens=64) as queue, kluere.Predictor(model, output="logits") as one:
        assert numpy.array_equal(queue.predict(rows), one.predict(rows))
        assert queue.predict([]).shape == (0, len(LABELS))


def test_tasks_wait_in_the_queue_together(model, rows, expected):
    async def ask_all():
        return await asyncio.gather(*(queue.predict_async(row) for row in rows))

    with kluere.Queue(model, max_delay_us=MINUTE, max_batch_rows=len(rows)) as queue:
        found = asyncio.run(ask_all())
        assert numpy.array_equal(numpy.stack(found), expected)
        assert queue.stats().batches == 1


def test_tasks_count_their_time_and_their_number_from_the_call(model, rows):
    async def ask(*timeouts):
        asked = (queue.predict_async(rows[0], timeout=timeout) for timeout in timeouts)
        return await asyncio.gather(*asked, return_exceptions=True)

    with kluere.Queue(model, max_delay_us=300_000, max_waiting=4, async_threads=1) as queue:
        found = asyncio.run(ask(*6 * [60]))
        assert [type(answer) for answer in found] == 4 * [numpy.ndarray] + 2 * [kluere.Busy]
        # The first is computed once its batch has waited; the second's time is over before it has the only thread.
        assert isinstance(asyncio.run(ask(60, 0.1))[1], kluere.TimedOut)
        assert len(asyncio.run(ask(*4 * [None]))) == 4
    with pytest.raises(kluere.KluereError, match="closed"):
        asyncio.run(queue.predict_async(rows[0]))


def test_a_full_queue_refuses_and_a_closed_one_lets_go(model, rows):
    queue = kluere.Queue(model, max_delay_us=MINUTE, max_batch_rows=100, max_waiting=3)
    outcome = []

    def wait():
        try:
            queue.predict(rows[0])
        except kluere.Cancelled as problem:
            outcome.append(problem)

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    while queue.stats().waiting < 3:
        time.sleep(0.001)
    with pytest.raises(kluere.Busy, match="max_waiting is 3"):
        queue.predict(rows[0])
    assert queue.stats().refused == 1
    queue.close()
    for thread in waiting:
        thread.join(30)
        assert not thread.is_alive()
    assert len(outcome) == 3
    with pytest.raises(kluere.KluereError, match="closed"):
        queue.predict(rows[0])


def test_a_request_is_not_begun_after_its_time(model, rows, expected):
    with kluere.Queue(model) as queue:
        with pytest.raises(kluere.TimedOut) as raised:
            queue.predict(rows[0], timeout=0)
        assert isinstance(raised.value, TimeoutError)
        assert queue.stats().late == 1
        with pytest.raises(ValueError, match="timeout"):
            queue.predict(rows[0], timeout=-1)
    # It ends the gathering in time to be in the batch.
    with kluere.Queue(model, max_delay_us=MINUTE) as queue:
        found = None
        for timeout in (0.05, 0.5, 5):  # on a busy machine it may be over before the request is in the queue
            with contextlib.suppress(kluere.TimedOut):
                found = queue.predict(rows[0], timeout=timeout)
                break
        assert numpy.array_equal(found, expected[0])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(workers=2), "workers: 2, but threads is 0"),
        (dict(max_batch_tokens=100, batch_tokens=64), "max_batch_tokens: 100, but the predictor's batch_tokens is 64"),
        (dict(max_batch_rows=0), "max_batch_rows: 0"),
        (dict(max_waiting=0), "max_waiting: 0"),
        (dict(threads=-1), "threads: -1"),
        (dict(threads=1025), "threads: 1025"),
    ],
)
def test_options_that_cannot_be_are_refused(model, options, message):
    with pytest.raises(kluere.InvalidArgument, match=message):
        kluere.Queue(model, **options)


def test_predictors_with_threads_of_their_own_have_the_bits_of_the_pool(model, rows, expected):
    def client(number):
        with kluere.Predictor(model, threads=1 + number % 2) as predictor:
            for _ in range(5):
                assert numpy.array_equal(predictor.predict(rows), expected)
            assert numpy.array_equal(predictor.predict(rows[number : number + 1])[0], expected[number])

    in_threads(16, client)


def test_encoder_outputs_of_own_threads_have_the_bits_of_the_pool(tmp_path):
    masked = made_up.model(tmp_path, task="masked_lm")
    ids = [[0, 30, 31, 32, 2], [0, 40, 4, 2]]
    with kluere.Predictor(masked) as pool, kluere.Predictor(masked, threads=1) as own:
        for a, b in zip(pool.hidden_states(ids), own.hidden_states(ids)):
            assert numpy.array_equal(a, b)
        assert numpy.array_equal(pool.embed(["가나 다"]), own.embed(["가나 다"]))
        assert numpy.array_equal(pool.mask_logits(ids, [1, 6]), own.mask_logits(ids, [1, 6]))


def test_pipelines_compute_on_threads_of_their_own(model, rows):
    members = [kluere.PipelineMember(model), kluere.PipelineMember(model)]
    shared = kluere.Pipeline.create(members).predict(rows)

    def client(_):
        with kluere.Pipeline.create(members, threads=1) as own:
            assert numpy.array_equal(own.predict(rows), shared)

    in_threads(4, client)
