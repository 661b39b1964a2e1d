"""Upstream's MultiInference: several signatures of one model in one run of its graph, and its refusals."""

import pytest

from tests.serving.model_server._calls import BAD, CLASSIFY, REGRESS, examples, refused, tasks

GOOD = ("graded", "regress", REGRESS)


def numbers(client, *signatures, sent):
    """The first answer of each regression."""
    told = [("graded", signature, REGRESS) for signature in signatures]
    answer = client.MultiInference(tasks(*told, sent=sent), timeout=20)
    return [each.regression_result.regressions[0].value for each in answer.results]


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


def test_all_inputs_are_fed_the_same_examples_and_the_context_before_them(client):
    assert numbers(client, "regress", "regress_other", sent=examples(80.0)) == [42.0, 80.0]
    assert numbers(client, "", sent=examples(None, context={"x": 80.0})) == [42.0]


def test_the_graph_is_run_once_for_all_tasks(client):
    first, second = (numbers(client, "count", "count_too", sent=examples(1.0)) for _ in range(2))
    assert first[0] == first[1] and second == [first[0] + 1.0] * 2


def test_the_first_task_chooses_the_version(client):
    request = tasks(GOOD, ("graded", "classify", CLASSIFY), sent=examples(1.0))
    request.tasks[1].model_spec.version.value = 9
    answer = client.MultiInference(request, timeout=20)
    assert [each.model_spec.version.value for each in answer.results] == [3, 3]
    request.tasks[0].model_spec.version.value = 9
    assert refused(client.MultiInference, request)[1].endswith("Specific(graded, 9)")


UNKNOWN, TWO = ("graded", "a", "x"), ("graded", "regress_two", REGRESS)
SAME_MODEL = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
TWICE = [("graded", "", REGRESS), ("graded", "serving_default", REGRESS)]


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ([], BAD, "ModelSpec has no name specified."),
        ([("nope", "regress", REGRESS)], "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        ([GOOD, ("", "classify", CLASSIFY)], BAD, "Found ModelSpec with an empty model name."),
        ([GOOD, ("other", "classify", CLASSIFY)], BAD, SAME_MODEL),
        (TWICE, BAD, "Duplicate evaluation of signature: serving_default"),
        ([("graded", "regress", "")], "UNIMPLEMENTED", "Unsupported signature method_name: "),
        ([GOOD, ("graded", "two_inputs", REGRESS)], BAD, "Expected one input Tensor."),
        ([("graded", "classify_three", CLASSIFY)], BAD, "Expected one or two output Tensors, found 3"),
        ([UNKNOWN, TWO], BAD, "Requested signature not found in model graph: a"),  # the first wrong task
        ([TWO, UNKNOWN], BAD, "Expected one output Tensor."),
    ],
)
def test_what_is_refused_to_the_letter(client, told, code, said):
    assert refused(client.MultiInference, tasks(*told, sent=examples(1.0))) == (code, said)


def test_no_examples_are_refused(client):
    assert refused(client.MultiInference, tasks(GOOD, sent=examples())) == (BAD, "Input is empty.")
