import numpy as np
import pytest

from digits.runtime.errors import StoreError
from serving.local import LocalModel
from tests.serving import _tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return LocalModel(_tiny.export(tmp_path_factory.mktemp("store") / "12"))


def test_it_answers_as_a_client_does_in_the_order_of_the_lines_whatever_their_widths(model):
    rng = np.random.default_rng(1)
    lines = [np.full((32, width), number, np.uint8) for number, width in enumerate(rng.integers(1, 300, 150))]
    answer = model.predict_lines(lines)
    assert [each.text for each in answer] == [str(number % 10) for number in range(150)]
    assert [len(each.columns) for each in answer] == [-(-line.shape[1] // 4) for line in lines]
    assert answer.version == 12 and all(each.accepted for each in answer)


def test_a_folder_that_reads_no_lines_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no SavedModel"):
        LocalModel(tmp_path)
    with pytest.raises(StoreError, match="no lines"):
        LocalModel(_tiny.export(tmp_path / "old", lines=False))
