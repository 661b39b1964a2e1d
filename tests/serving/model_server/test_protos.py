import pytest

from digits_model_server import protos
from digits_model_server.status import Status


@pytest.mark.parametrize("text", ["max_batch_size: 3", "nonsense", "\x00"])
def test_a_file_that_is_no_such_message_is_named(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(Status, match=r"Error parsing text-format tensorflow\.serving\.BatchingParameters"):
        protos.read(path, "BatchingParameters")
