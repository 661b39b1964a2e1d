"""Upstream's Classify and Regress over gRPC: answers, and every check with its code and its text."""

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.model_server.inference.examples import fill_classifications
from tests.serving import _models
from tests.serving.model_server._calls import classification, examples, regression, serving, stub

BAD = "INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.graded(base / "graded" / "3")
    _models.graded(base / "graded" / "2", half=1.0)
    _models.typed(base / "typed" / "1")
    return {name: base / name for name in ("graded", "typed")}


@pytest.fixture(scope="module")
def client(models, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("log"), models) as server, stub(server) as made:
        yield made


@pytest.fixture(scope="module")
def strict(models, tmp_path_factory):
    flag = "--enable_signature_method_name_check"
    with serving(tmp_path_factory.mktemp("strict"), models, flag) as server, stub(server) as made:
        yield made


def refused(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("signature", ["", "regress", "regress_column", "regress_modern", "odd"])
def test_regress_answers_a_number_for_each_example(client, signature):
    answer = client.Regress(regression("graded", signature, examples(80.0, 3.0)), timeout=20)
    assert [each.value for each in answer.result.regressions] == [42.0, 3.5]
    spec = answer.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (
        "graded",
        signature or "serving_default",
        3,
    )


def test_a_modern_export_regresses_too(client):
    answer = client.Regress(regression("typed", "", examples(2.0)), timeout=20)
    assert [each.value for each in answer.result.regressions] == [6.0]


@pytest.mark.parametrize("signature", ["classify", "classify_modern"])
def test_classify_answers_labels_and_scores(client, signature):
    answer = client.Classify(classification("graded", signature, examples(20.0, 1.0)), timeout=20)
    found = [[(each.label, each.score) for each in row.classes] for row in answer.result.classifications]
    assert found == [[("12.0", 12.0), ("other", -12.0)], [("2.5", 2.5), ("other", -2.5)]]
    assert answer.model_spec.signature_name == signature and answer.model_spec.version.value == 3


@pytest.mark.parametrize(("signature", "expected"), [("labels", ("12.0", 0.0)), ("scores", ("", 12.0))])
def test_one_of_labels_and_scores_is_enough(client, signature, expected):
    answer = client.Classify(classification("graded", signature, examples(20.0)), timeout=20)
    first = answer.result.classifications[0].classes[0]
    assert (first.label, first.score) == expected


def test_the_context_goes_before_every_example_and_the_example_wins(client):
    sent = examples(None, 8.0, context={"x": 80.0})
    answer = client.Regress(regression("graded", "", sent), timeout=20)
    assert [each.value for each in answer.result.regressions] == [42.0, 6.0]


EITHER = [
    ("nope", "No signature was found with the name: nope"),
    ("two_inputs", "Expected one input Tensor."),
]


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        *EITHER,
        ("regress_two", "Expected one output Tensor."),
        (
            "regress_wide",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
        ),
        ("regress_one", "Input batch size did not match output batch size: 2 vs. 1"),
        ("regress_ints", "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
    ],
)
def test_what_regress_refuses_to_the_letter(client, signature, said):
    assert refused(client.Regress, regression("graded", signature, examples(1.0, 2.0))) == (BAD, said)


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        *EITHER,
        ("classify_three", "Expected one or two output Tensors, found 3"),
        ("classify_flat", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("classify_ints", "Expected scores Tensor of DT_FLOAT. Got: DT_INT32"),
        ("classify_numbers", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("classify_one", "Expected scores output batch size of 2. Got: 1"),
        ("classify_unlike", "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ],
)
def test_what_classify_refuses_to_the_letter(client, signature, said):
    assert refused(client.Classify, classification("graded", signature, examples(1.0, 2.0))) == (BAD, said)


@pytest.mark.parametrize(
    ("call", "signature", "said"),
    [
        ("Regress", "elsewhere", "No regression inputs found in SignatureDef: inputs {"),
        ("Regress", "regress_elsewhere", "No regression outputs found in SignatureDef: inputs {"),
        ("Classify", "elsewhere", "No classification inputs found in SignatureDef: inputs {"),
        (
            "Classify",
            "classify_elsewhere",
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            "Signature was: inputs {",
        ),
    ],
)
def test_a_signature_without_the_aliases_is_shown(client, call, signature, said):
    request = {"Regress": regression, "Classify": classification}[call]("graded", signature, examples(1.0))
    code, text = refused(getattr(client, call), request)
    assert code == BAD and text.startswith(said)


@pytest.mark.parametrize("call", ["Regress", "Classify"])
@pytest.mark.parametrize("sent", [input_pb2.Input(), examples(), examples(context={"x": 1.0})])
def test_no_examples_are_refused(client, call, sent):
    make, signature = {"Regress": (regression, "regress"), "Classify": (classification, "classify")}[call]
    assert refused(getattr(client, call), make("graded", signature, sent)) == (BAD, "Input is empty.")


def test_the_model_is_looked_for_as_in_predict(client):
    for call, kind in (
        (client.Regress, regression_pb2.RegressionRequest),
        (client.Classify, classification_pb2.ClassificationRequest),
    ):
        assert refused(call, kind(input=examples(1.0))) == (BAD, "Missing ModelSpec")
        request = kind(input=examples(1.0))
        request.model_spec.signature_name = "x"
        assert refused(call, request) == (BAD, "ModelSpec has no name specified.")
        request.model_spec.name = "nope"
        assert refused(call, request) == ("NOT_FOUND", "Servable not found for request: Latest(nope)")


def test_an_example_that_lacks_the_feature_is_the_graph_s_error(client):
    code, text = refused(client.Regress, regression("graded", "", examples(None)))
    assert code == BAD and "Feature: x (data type: float) is required but could not be found." in text


def test_with_the_method_name_check_only_signatures_for_the_call_answer(strict):
    assert strict.Regress(regression("graded", "regress", examples(80.0)), timeout=20).result.regressions
    assert strict.Classify(classification("graded", "classify", examples(1.0)), timeout=20)
    assert refused(strict.Regress, regression("graded", "regress_modern", examples(1.0))) == (
        BAD,
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: "
        "tensorflow/serving/predict",
    )
    assert refused(strict.Classify, classification("graded", "regress", examples(1.0))) == (
        BAD,
        "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
        "tensorflow/serving/regress",
    )


def test_a_label_that_is_no_utf8_comes_with_marks_for_what_is_lost():
    result = classification_pb2.ClassificationResult()
    fill_classifications(result, {"classes": np.array([[b"a\xff"]], object)}, 1)
    assert result.classifications[0].classes[0].label == "a\N{REPLACEMENT CHARACTER}"
