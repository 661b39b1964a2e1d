"""The styles of model that upstream serves: as old as TensorFlow 1.0, with state, for one device."""

import numpy as np

from tests.serving import _models
from tests.serving.model_server import _calls
from tests.serving.model_server._calls import BAD, examples, predict, prediction, refused, regression


def test_a_signature_that_tells_no_shapes_takes_what_the_graph_takes(server, client):
    path = "/v1/models/oldest:predict"
    for given, expected in (([1.0, 5.0], [3.5, 5.5]), ([[2.0], [4.0]], [[4.0], [5.0]])):
        assert predict(client, "oldest", {"x": np.array(given, np.float32)}) == {"y": expected}
        assert server.rest(path, {"instances": given}) == (200, {"predictions": expected})
        assert server.rest(path, {"inputs": given}) == (200, {"outputs": expected})


def test_what_the_graph_takes_counts_where_an_old_signature_says_another_type(client):
    regress = "tensorflow/serving/regress"
    found = client.Regress(regression("oldest", regress, examples(2.0, 4.0)), timeout=20)
    assert [each.value for each in found.result.regressions] == [4.0, 5.0]
    code, text = refused(client.Predict, prediction("oldest", {"inputs": [1.0]}, regress))
    assert code == BAD and "to be string but float is provided" in text


def test_reference_variables_keep_their_state_between_requests(server, client):
    def call(signature, **inputs):
        return predict(client, "counter", inputs, signature)["output"]

    call("reset_counter")
    assert [call("incr_counter") for _ in range(3)] == [1.0, 2.0, 3.0]
    body = {"signature_name": "incr_counter_by", "inputs": 2.5}
    assert server.rest("/v1/models/counter:predict", body) == (200, {"outputs": 5.5})
    assert call("incr_counter_by", delta=np.ones(64, np.float32)) == call("get_counter") == 69.5


def test_names_that_are_asked_for_in_vain_leave_the_signatures_as_they_are(server, client):
    before = server.rest("/v1/models/oldest/metadata")
    for inputs, signature in (({"nope": [1.0]}, ""), ({"x": [1.0], "nope": [1.0]}, ""), ({}, "nope")):
        refused(client.Predict, prediction("oldest", inputs, signature))
        refused(client.Regress, regression("oldest", signature or "serving_default", examples(1.0)))
        body = {"signature_name": signature, "instances": [inputs]}
        assert server.rest("/v1/models/oldest:predict", body)[0] == 400
    assert predict(client, "oldest", {"x": [2.0]}) == {"y": [4.0]}
    assert server.rest("/v1/models/oldest/metadata") == before


def test_a_model_pinned_to_a_device_that_is_not_there_needs_soft_placement(launch, tmp_path):
    base = _models.pinned(tmp_path / "m" / "1", "/device:GPU:7").parent
    said = _calls.refused_start(f"--model_base_path={base}", "--max_num_load_retries=0")
    assert "explicitly assigned to /device:GPU:7" in said
    (tmp_path / "session").write_text("allow_soft_placement: true intra_op_parallelism_threads: 1")
    with launch(base, f"--tensorflow_session_config_file={tmp_path / 'session'}") as server:
        answer = server.rest("/v1/models/default:predict", {"instances": [2.0]})
        assert answer == (200, {"predictions": [3.0]})
