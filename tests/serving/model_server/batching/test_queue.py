import numpy as np
import pytest

from digits_model_server.batching.queue import Queue, Task
from digits_model_server.batching.settings import BatchSettings
from digits_model_server.status import UNAVAILABLE, Status


def task(rows):
    return Task([np.arange(rows)], rows, None, lambda *_: None)


def sizes(queue):
    found = []
    while queue:
        found.append(queue.pop().rows)
    return found


def test_requests_fill_a_batch_until_the_next_one_does_not_fit():
    queue = Queue(BatchSettings(rows=4, execution=4))
    for rows in (1, 2, 2, 4, 1):
        queue.add(task(rows), 0.0)
    assert sizes(queue) == [3, 2, 4, 1]


def test_a_batch_is_due_when_it_is_full_or_has_waited_its_time():
    queue = Queue(BatchSettings(rows=4, timeout=0.5, execution=4))
    assert queue.due(0.0) == float("inf")
    queue.add(task(1), 10.0)
    assert queue.due(10.1) == pytest.approx(0.4) and queue.due(10.6) == 0
    assert not queue.alone(10.1) and queue.alone(10.6)
    queue.add(task(3), 10.2)
    assert queue.due(10.2) == 0 and queue.full and not queue.alone(11)


def test_a_full_queue_refuses_in_upstream_s_words():
    queue = Queue(BatchSettings(rows=2, waiting=2, execution=2))
    for _ in range(4):
        queue.add(task(1), 0.0)
    with pytest.raises(Status) as caught:
        queue.add(task(1), 0.0)
    assert caught.value.code == UNAVAILABLE
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued "
        "and max_enqueued_batches is 2"
    )
    queue.pop()
    queue.add(task(1), 0.0)
    assert sizes(queue) == [2, 1]


def test_a_large_request_is_cut_to_fill_the_batches():
    queue = Queue(BatchSettings(rows=10, split=True, execution=4, waiting=4))
    queue.add(task(1), 0.0)
    large = task(9)
    queue.add(large, 0.0)
    batches = [queue.pop() for _ in range(3)]
    assert [batch.rows for batch in batches] == [4, 4, 2] and len(large.parts) == 3
    rows = [part.arrays[0].tolist() for batch in batches for part in batch.parts if part.task is large]
    assert rows == [[0, 1, 2], [3, 4, 5, 6], [7, 8]]


def test_a_request_that_finds_no_room_for_all_of_its_parts_is_refused_whole():
    queue = Queue(BatchSettings(rows=100, split=True, execution=4, waiting=2))
    queue.add(task(3), 0.0)
    with pytest.raises(Status, match="task size is 6 but scheduling capacity is only 5") as caught:
        queue.add(task(6), 0.0)
    assert caught.value.code == UNAVAILABLE and sizes(queue) == [3]


def test_a_task_ends_once_with_its_last_part_and_keeps_its_first_error():
    ended = []
    cut = task(2)
    cut._done = lambda: ended.append(1)
    cut.parts, cut.left = [None, None], 2
    cut.finish_part(1, Status(3, "bad"))
    assert not ended
    cut.finish_part(0, [np.zeros(1)])
    assert ended == [1] and cut.error and cut.error.message == "bad"
