"""Upstream's Classify and Regress over gRPC: answers, and every check with its code and its text."""

import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from digits_model_server.inference.examples import fill_classifications
from tests.serving.model_server._calls import BAD, classification, examples, named, refused, regression, stub


def numbers(client, *arguments):
    answer = client.Regress(regression(*arguments), timeout=20)
    return [each.value for each in answer.result.regressions], answer.model_spec


@pytest.mark.parametrize("signature", ["", "regress_column", "regress_modern", "odd"])
def test_regress_answers_a_number_for_each_example(client, signature):
    found, spec = numbers(client, "graded", signature, examples(80.0, 3.0))
    assert found == [42.0, 3.5]
    used = signature or "serving_default"
    assert (spec.name, spec.signature_name, spec.version.value) == ("graded", used, 3)


def test_a_modern_export_regresses_too(client):
    assert numbers(client, "typed", "", examples(2.0))[0] == [6.0]


def test_classify_answers_labels_and_scores_or_one_of_them(client):
    for signature, expected in {
        "classify": [("12.0", 12.0), ("other", -12.0)],
        "classify_modern": [("12.0", 12.0), ("other", -12.0)],
        "labels": [("12.0", 0.0), ("other", 0.0)],
        "scores": [("", 12.0), ("", -12.0)],
    }.items():
        answer = client.Classify(classification("graded", signature, examples(20.0, 1.0)), timeout=20)
        first, second = answer.result.classifications
        assert [(each.label, each.score) for each in first.classes] == expected and len(second.classes) == 2
        assert answer.model_spec.signature_name == signature and answer.model_spec.version.value == 3


def test_the_context_goes_before_every_example_and_the_example_wins(client):
    assert numbers(client, "graded", "", examples(None, 8.0, context={"x": 80.0}))[0] == [42.0, 6.0]


SHAPE = "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"
ALIASES = 'Expected classification signature outputs to contain at least one of "classes" or "scores". '
REGRESSING = [
    ("nope", "No signature was found with the name: nope"),
    ("two_inputs", "Expected one input Tensor."),
    ("regress_two", "Expected one output Tensor."),
    ("regress_wide", SHAPE),
    ("regress_one", "Input batch size did not match output batch size: 2 vs. 1"),
    ("regress_ints", "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
    ("elsewhere", "No regression inputs found in SignatureDef: inputs {"),
    ("regress_elsewhere", "No regression outputs found in SignatureDef: inputs {"),
]
CLASSIFYING = [
    ("nope", "No signature was found with the name: nope"),
    ("two_inputs", "Expected one input Tensor."),
    ("classify_three", "Expected one or two output Tensors, found 3"),
    ("classify_flat", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    ("classify_ints", "Expected scores Tensor of DT_FLOAT. Got: DT_INT32"),
    ("classify_numbers", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
    ("classify_one", "Expected scores output batch size of 2. Got: 1"),
    ("classify_unlike", "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ("elsewhere", "No classification inputs found in SignatureDef: inputs {"),
    ("classify_elsewhere", f"{ALIASES}Signature was: inputs {{"),
]


@pytest.mark.parametrize(
    ("regress", "signature", "said"),
    [(True, *row) for row in REGRESSING] + [(False, *row) for row in CLASSIFYING],
)
def test_a_signature_that_is_not_for_the_call_is_refused_to_the_letter(client, regress, signature, said):
    call, make = (client.Regress, regression) if regress else (client.Classify, classification)
    code, text = refused(call, make("graded", signature, examples(1.0, 2.0)))
    assert code == BAD and (text.startswith(said) if said.endswith("{") else text == said)


def test_no_examples_and_no_model_are_refused(client):
    for call, kind, signature in (
        (client.Regress, regression_pb2.RegressionRequest, "regress"),
        (client.Classify, classification_pb2.ClassificationRequest, "classify"),
    ):
        assert refused(call, kind(input=examples(1.0))) == (BAD, "Missing ModelSpec")
        nameless, unknown = (named(kind(input=examples(1.0)), name, "x") for name in ("", "nope"))
        assert refused(call, nameless) == (BAD, "ModelSpec has no name specified.")
        assert refused(call, unknown) == ("NOT_FOUND", "Servable not found for request: Latest(nope)")
        for sent in (input_pb2.Input(), examples(), examples(context={"x": 1.0})):
            assert refused(call, named(kind(input=sent), "graded", signature)) == (BAD, "Input is empty.")


def test_with_the_method_name_check_only_signatures_for_the_call_answer(launch, models):
    flags = "--enable_signature_method_name_check", "--model_name=graded"
    with launch(models["graded"], *flags) as server, stub(server) as client:
        assert numbers(client, "graded", "regress", examples(80.0))[0] == [42.0]
        assert client.Classify(classification("graded", "classify", examples(1.0)), timeout=20)
        for call, request, word, wrong in (
            (client.Regress, regression("graded", "regress_modern", examples(1.0)), "regress", "predict"),
            (client.Classify, classification("graded", "regress", examples(1.0)), "classify", "regress"),
        ):
            kind = {"regress": "regression", "classify": "classification"}[word]
            said = f"Expected {kind} signature method_name to be tensorflow/serving/{word}. "
            assert refused(call, request) == (BAD, f"{said}Was: tensorflow/serving/{wrong}")


def test_a_label_that_is_no_utf8_comes_with_marks_for_what_is_lost():
    result = classification_pb2.ClassificationResult()
    fill_classifications(result, {"classes": np.array([[b"a\xff"]], object)}, 1)
    assert result.classifications[0].classes[0].label == "a\N{REPLACEMENT CHARACTER}"
