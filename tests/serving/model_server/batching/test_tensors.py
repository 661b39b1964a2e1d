import numpy as np
import pytest

from serving.model_server.batching import tensors
from serving.model_server.batching.settings import BatchSettings
from serving.model_server.runtime.saved_model import strings
from serving.model_server.status import FAILED_PRECONDITION, INVALID_ARGUMENT, Status

PLAIN = BatchSettings()


def fails(code, text, work, *arguments):
    with pytest.raises(Status) as caught:
        work(*arguments)
    assert caught.value.code == code and text in caught.value.message


def test_the_rows_of_a_request():
    assert tensors.rows([np.zeros((3, 2)), np.zeros(3)]) == 3
    fails(
        INVALID_ARGUMENT,
        "Batching Run() input tensors must have at least one dimension",
        tensors.rows,
        [np.zeros(())],
    )
    fails(
        INVALID_ARGUMENT,
        "Batching Run() input tensors must have equal 0th-dimension size",
        tensors.rows,
        [np.zeros(3), np.zeros(2)],
    )


def test_requests_stand_one_after_the_other_and_get_their_own_rows_back():
    requests = [[np.array([[1.0, 2.0]])], [np.array([[3.0, 4.0], [5.0, 6.0]])]]
    (joined,) = tensors.merge_inputs(requests, PLAIN)
    assert joined.tolist() == [[1, 2], [3, 4], [5, 6]]
    first, second = tensors.split_outputs([joined, joined[:, 0]], [1, 2], 3)
    assert first[0].tolist() == [[1, 2]] and second[1].tolist() == [3, 5]


def test_missing_rows_are_filled_up_by_a_valid_one_and_left_out_of_the_answers():
    requests = [[strings([b"a"])], [strings([b"b", b"c"])]]
    (joined,) = tensors.merge_inputs(requests, BatchSettings(allowed=(2, 8)))
    assert joined.tolist() == [b"a", b"b", b"c"] + [b"b"] * 5
    assert [answer[0].tolist() for answer in tensors.split_outputs([joined], [1, 2], 8)] == [
        [b"a"],
        [b"b", b"c"],
    ]


def test_inputs_of_other_shapes_are_filled_up_with_their_first_value():
    requests = [[np.array([[7, 8]])], [np.array([[1, 2, 3]])]]
    (joined,) = tensors.merge_inputs(requests, BatchSettings(pad=True))
    assert joined.tolist() == [[7, 8, 7], [1, 2, 3]]
    empty = [[np.zeros((1, 0))], [np.zeros((1, 2))]]
    fails(INVALID_ARGUMENT, "Got empty tensor", tensors.merge_inputs, empty, BatchSettings(pad=True))
    ranks = [[np.zeros((1, 2))], [np.zeros((1, 2, 2))]]
    fails(INVALID_ARGUMENT, "rank from 1 to 6", tensors.merge_inputs, ranks, BatchSettings(pad=True))


def test_outputs_that_are_not_row_by_row_can_t_be_divided():
    fails(
        FAILED_PRECONDITION,
        "Batched output tensor has 0 dimensions",
        tensors.split_outputs,
        [np.float32(1)],
        [1],
        1,
    )
    fails(
        FAILED_PRECONDITION,
        "Batched output tensor's 0th dimension does not equal the sum",
        tensors.split_outputs,
        [np.zeros(2)],
        [1],
        1,
    )


def test_the_parts_of_a_request_are_one_answer_again():
    parts = [[np.array([1]), np.array([[2]])], [np.array([3]), np.array([[4]])]]
    assert [array.tolist() for array in tensors.join_parts(parts)] == [[1, 3], [[2], [4]]]
