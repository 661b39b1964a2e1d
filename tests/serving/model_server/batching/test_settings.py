import pytest

from digits_model_server.batching import settings
from digits_model_server.batching.settings import BatchSettings, Pool
from digits_model_server.status import INVALID_ARGUMENT, Status


def read(tmp_path, text):
    path = tmp_path / "batching"
    path.write_text(text)
    return settings.read(path)


def test_an_empty_file_is_upstream_s_defaults(tmp_path):
    settings, pool = read(tmp_path, "")
    assert settings == BatchSettings(rows=1000, timeout=0, waiting=10, execution=1000)
    assert pool == Pool() and pool.size >= 1


def test_every_setting_is_taken_over(tmp_path):
    settings, pool = read(
        tmp_path,
        "max_batch_size { value: 64 } batch_timeout_micros { value: 2500 } max_enqueued_batches { value: 3 } "
        'num_batch_threads { value: 2 } thread_pool_name { value: "mine" } pad_variable_length_inputs: true '
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 16 } "
        "allowed_batch_sizes: 4 allowed_batch_sizes: 16",
    )
    assert settings == BatchSettings(64, 0.0025, 3, (4, 16), pad=True, split=True, execution=16)
    assert pool == Pool(2, "mine")


CONTRADICTIONS = """
max_batch_size { value: 8 } allowed_batch_sizes: 4
Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8

max_batch_size { value: 4 } allowed_batch_sizes: [4, 4]
allowed_batch_sizes entries must be monotonically increasing

max_batch_size { value: 9 } SPLIT max_execution_batch_size { value: 4 } allowed_batch_sizes: 9
Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 9; expected 4

max_batch_size { value: 4 } SPLIT max_execution_batch_size { value: 9 }
When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to \
max_execution_batch_size: 4, 9

max_batch_size { value: 0 }
input_batch_size_limit must be positive; was 0

batch_timeout_micros { value: -1 }
batch_timeout_micros must be non-negative; was -1
""".replace("SPLIT", "enable_large_batch_splitting { value: true }")


@pytest.mark.parametrize("case", CONTRADICTIONS.strip().split("\n\n"))
def test_what_contradicts_itself_is_refused_in_upstream_s_words(tmp_path, case):
    text, error = case.splitlines()
    with pytest.raises(Status) as caught:
        read(tmp_path, text)
    assert caught.value.code == INVALID_ARGUMENT and caught.value.message == error


@pytest.mark.parametrize("text", ["max_batch_size: 3", "nonsense", "\x00"])
def test_a_file_that_is_no_such_message_is_named(tmp_path, text):
    with pytest.raises(Status, match=r"Error parsing text-format tensorflow\.serving\.BatchingParameters"):
        read(tmp_path, text)


def test_a_batch_is_run_with_the_next_allowed_size():
    settings = BatchSettings(allowed=(2, 8, 32))
    assert [settings.allowed_size(rows) for rows in (1, 2, 3, 8, 30)] == [2, 2, 8, 8, 32]
    assert BatchSettings().allowed_size(7) == 7


def test_a_version_may_bring_its_own(tmp_path):
    assert settings.read_for_version(tmp_path) is None
    threads = "num_batch_threads { value: 0 }"  # which are of the pool, that all share: not even looked at
    (tmp_path / "batching_params.pbtxt").write_text("max_batch_size { value: 5 } " + threads)
    found = settings.read_for_version(tmp_path)
    assert found and found.rows == 5
    (tmp_path / "batching_params.pbtxt").write_text("what?")
    with pytest.raises(Status, match="batching_params"):
        settings.read_for_version(tmp_path)
