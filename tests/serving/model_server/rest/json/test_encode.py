import numpy as np
import pytest

from digits_model_server.rest.json import encode
from digits_model_server.status import Status


def test_an_answer_that_has_no_rows_is_refused_in_the_row_format():
    with pytest.raises(Status, match="inconsistent batch size: 2 expecting: 1"):
        encode.body({"a": np.zeros(1, np.float32), "b": np.zeros(2, np.float32)}, True)
    written = encode.body({"a": np.zeros((0, 3), np.float32)}, True)
    assert written.split() == ["{", '"predictions":', "[]", "}"]
