"""Upstream's MultiInference: several signatures of one model in one run of its graph, and its refusals."""

import grpc
import pytest

from tests.serving import _models
from tests.serving.model_server._calls import CLASSIFY, REGRESS, examples, serving, stub, tasks

BAD = "INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.graded(base / "graded" / "3")
    with serving(base, {"graded": base / "graded"}) as server, stub(server) as made:
        yield made


def test_results_come_in_the_order_of_the_tasks_each_with_its_model_spec(client):
    told = [("graded", "classify", CLASSIFY), ("graded", "", REGRESS), ("graded", "regress_column", REGRESS)]
    answer = client.MultiInference(tasks(*told, sent=examples(80.0, 2.0)), timeout=20)
    first, second, third = answer.results
    rows = first.classification_result.classifications
    assert [[(each.label, each.score) for each in row.classes] for row in rows] == [
        [("42.0", 42.0), ("other", -42.0)],
        [("3.0", 3.0), ("other", -3.0)],
    ]
    for result in (second, third):
        assert [each.value for each in result.regression_result.regressions] == [42.0, 3.0]
    specs = [each.model_spec for each in answer.results]
    assert [spec.signature_name for spec in specs] == ["classify", "serving_default", "regress_column"]
    assert {(spec.name, spec.version.value) for spec in specs} == {("graded", 3)}


def test_inputs_that_are_different_tensors_are_fed_the_same_examples(client):
    told = [("graded", "regress", REGRESS), ("graded", "regress_other", REGRESS)]
    answer = client.MultiInference(tasks(*told, sent=examples(80.0)), timeout=20)
    assert [each.regression_result.regressions[0].value for each in answer.results] == [42.0, 80.0]


def test_the_graph_is_run_once_for_all_tasks(client):
    told = [("graded", "count", REGRESS), ("graded", "count_too", REGRESS)]
    counts = []
    for _ in range(2):
        answer = client.MultiInference(tasks(*told, sent=examples(1.0)), timeout=20)
        counts.append([each.regression_result.regressions[0].value for each in answer.results])
    assert counts == [[1.0, 1.0], [2.0, 2.0]]


def test_the_context_counts_here_too(client):
    sent = examples(None, context={"x": 80.0})
    answer = client.MultiInference(tasks(("graded", "", REGRESS), sent=sent), timeout=20)
    assert answer.results[0].regression_result.regressions[0].value == 42.0


def test_the_first_task_chooses_the_version(client):
    request = tasks(("graded", "regress", REGRESS), ("graded", "classify", CLASSIFY), sent=examples(1.0))
    request.tasks[1].model_spec.version.value = 9
    answer = client.MultiInference(request, timeout=20)
    assert [each.model_spec.version.value for each in answer.results] == [3, 3]
    request.tasks[0].model_spec.version.value = 9
    with pytest.raises(grpc.RpcError, match=r"Specific\(graded, 9\)"):
        client.MultiInference(request, timeout=20)


GOOD = ("graded", "regress", REGRESS)


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ([], BAD, "ModelSpec has no name specified."),
        ([("", "regress", REGRESS)], BAD, "ModelSpec has no name specified."),
        ([("nope", "regress", REGRESS)], "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        ([GOOD, ("", "classify", CLASSIFY)], BAD, "Found ModelSpec with an empty model name."),
        (
            [GOOD, ("other", "classify", CLASSIFY)],
            BAD,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ([GOOD, GOOD], BAD, "Duplicate evaluation of signature: regress"),
        (
            [("graded", "", REGRESS), ("graded", "serving_default", REGRESS)],
            BAD,
            "Duplicate evaluation of signature: serving_default",
        ),
        ([("graded", "nope", REGRESS)], BAD, "Requested signature not found in model graph: nope"),
        (
            [("graded", "regress", "tensorflow/serving/predict")],
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        ([("graded", "regress", "")], "UNIMPLEMENTED", "Unsupported signature method_name: "),
        ([GOOD, ("graded", "two_inputs", REGRESS)], BAD, "Expected one input Tensor."),
        ([("graded", "classify_three", CLASSIFY)], BAD, "Expected one or two output Tensors, found 3"),
        ([("graded", "regress_ints", REGRESS)], BAD, "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
        (  # the first wrong task is the one that is told
            [("graded", "a", "x"), ("graded", "regress_two", REGRESS)],
            BAD,
            "Requested signature not found in model graph: a",
        ),
        ([("graded", "regress_two", REGRESS), ("graded", "a", "x")], BAD, "Expected one output Tensor."),
    ],
)
def test_what_is_refused_to_the_letter(client, told, code, said):
    with pytest.raises(grpc.RpcError) as caught:
        client.MultiInference(tasks(*told, sent=examples(1.0)), timeout=20)
    assert (caught.value.code().name, caught.value.details()) == (code, said)


def test_no_examples_are_refused(client):
    with pytest.raises(grpc.RpcError, match=r"Input is empty\."):
        client.MultiInference(tasks(GOOD, sent=examples()), timeout=20)
