import pytest

from serving.model_server import protos
from serving.model_server.status import Status


def test_upstream_s_files_are_read(tmp_path):
    path = tmp_path / "batching"
    path.write_text(
        "max_batch_size { value: 128 } batch_timeout_micros { value: 0 } allowed_batch_sizes: 4 "
        "allowed_batch_sizes: 128 "
        "pad_variable_length_inputs: true enable_large_batch_splitting { value: true }"
    )
    read = protos.read(path, "BatchingParameters")
    assert read.max_batch_size.value == 128 and list(read.allowed_batch_sizes) == [4, 128]
    assert read.HasField("batch_timeout_micros") and not read.HasField("num_batch_threads")
    path.write_text('prometheus_config { enable: true path: "/metrics" }')
    assert protos.read(path, "MonitoringConfig").prometheus_config.path == "/metrics"
    path.write_text('server_key: "k" server_cert: "c" client_verify: true')
    assert protos.read(path, "SSLConfig").client_verify


@pytest.mark.parametrize("text", ["max_batch_size: 3", "nonsense", "\x00"])
def test_a_file_that_is_no_such_message_is_named(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(Status, match=r"Error parsing text-format tensorflow\.serving\.BatchingParameters"):
        protos.read(path, "BatchingParameters")
    with pytest.raises(Status, match="No such file"):
        protos.read(tmp_path / "none", "BatchingParameters")
