import numpy as np
import pytest

from digits_model_server.batching import tensors
from digits_model_server.batching.settings import BatchSettings
from digits_model_server.runtime.saved_model import strings
from digits_model_server.status import Status


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([np.zeros(())], "Batching Run() input tensors must have at least one dimension"),
        ([np.zeros(3), np.zeros(2)], "Batching Run() input tensors must have equal 0th-dimension size"),
    ],
)
def test_the_rows_of_a_request(given, said):
    assert tensors.rows([np.zeros((3, 2)), np.zeros(3)]) == 3
    with pytest.raises(Status) as caught:
        tensors.rows(given)
    assert str(caught.value).startswith(f"INVALID_ARGUMENT: {said}")


def test_requests_are_filled_up_by_a_valid_row_and_get_their_own_rows_back():
    requests = [[strings([b"a"])], [strings([b"b", b"c"])]]
    (joined,) = tensors.merge_inputs(requests, BatchSettings(allowed=(2, 8)))
    assert joined.tolist() == [b"a", b"b", b"c"] + [b"b"] * 5
    first, second = tensors.split_outputs([joined], [1, 2], 8)
    assert (first[0].tolist(), second[0].tolist()) == ([b"a"], [b"b", b"c"])


def test_inputs_of_other_shapes_are_filled_up_with_their_first_value():
    padding = BatchSettings(pad=True)
    (joined,) = tensors.merge_inputs([[np.array([[7, 8]])], [np.array([[1, 2, 3]])]], padding)
    assert joined.tolist() == [[7, 8, 7], [1, 2, 3]]
    with pytest.raises(Status, match="Got empty tensor"):
        tensors.merge_inputs([[np.zeros((1, 0))], [np.zeros((1, 2))]], padding)
    with pytest.raises(Status, match="rank from 1 to 6"):
        tensors.merge_inputs([[np.zeros((1, 2))], [np.zeros((1, 2, 2))]], padding)
