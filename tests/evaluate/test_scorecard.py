import numpy as np
import pytest

from digits.evaluate.scorecard import Answers, scorecard

LABELS = (np.arange(100) % 10).astype(np.uint8)
LOGITS = (4 * np.eye(10)[LABELS]).astype(np.float32)
INKED = np.ones(100, bool)
NONE = Answers.of(LOGITS[:0], LABELS[:0], INKED[:0])
MANIFEST = {"dataset": "mnist-sample-5k", "sample": True}
TRAINING = {"train_accuracy": 0.9, "validation_accuracy": 0.5, "gap": 0.4, "parameters": 7, "profile": "fast"}


NON_DIGITS = {"noise": Answers.of(LOGITS[:20] / 4, LABELS[:20], INKED[:20])}


def wrong(n):
    """Answers whose first n are off by one digit."""
    logits = LOGITS.copy()
    logits[:n] = np.roll(logits[:n], 1, axis=1)
    return Answers.of(logits, LABELS, INKED)


def carded(validation, test, heldout=NONE, corrupted=None, non_digits=NON_DIGITS, precision=0.9, lines=None):
    batches = np.full(len(heldout.labels), "scans")
    corrupted = corrupted or {"blur": wrong(1)}
    sets = (validation, test, heldout, batches, corrupted, non_digits)
    return scorecard(MANIFEST, TRAINING, *sets, precision, lines)


def test_every_set_lands_under_its_own_name():
    card = carded(wrong(30), wrong(10), wrong(5), {"blur": wrong(20), "line": wrong(60)})
    content = card.content
    assert (content["dataset"], content["sample"]) == ("mnist-sample-5k", True)
    assert (content["n_test"], content["correct"], content["accuracy"]) == (100, 90, 0.9)
    assert content["validation_accuracy"] == 0.7 and content["gap"] == pytest.approx(0.2)
    assert content["corruptions"] == {"blur": 0.8, "line": 0.4}
    assert (content["corruption_mean"], content["corruption_worst"]) == (0.6, 0.4)
    assert content["slices"]["scans"]["correct"] == 95
    assert content["training"] == {"parameters": 7, "profile": "fast"}
    assert "lines" not in content, "no line reader was scored"
    assert card.matrix.trace() == 90
    assert content["abstention"]["target"] == 0.9 and content["abstention"]["n"] == 100
    assert content["non_digits"]["noise"]["n"] == 20


def test_the_threshold_comes_from_validation_and_its_worth_from_the_test():
    def told(validation, test):
        return carded(validation, test, precision=0.999).content["abstention"]

    def unsure(n):  # the n mistakes are less sure than the right answers
        logits = np.array(wrong(n).logits)
        logits[:n] /= 2
        return Answers.of(logits, LABELS, INKED)

    first, other_test = (told(unsure(5), unsure(n)) for n in (9, 30))
    assert first["threshold"] == other_test["threshold"]
    assert (first["answered"], first["precision"]) == (91, 1.0)
    assert other_test["answered"] == 70
    hopeless = told(wrong(5), wrong(0))  # as sure of the mistakes as of the rest
    assert (hopeless["answered"], hopeless["precision"]) == (0, None)


def test_the_temperature_comes_from_validation_alone_and_no_ink_is_refused_however_sure_the_model_is():
    cards = [carded(wrong(v), wrong(t)) for v, t in ((30, 10), (30, 70), (60, 10))]
    first, other_test, other_validation = (card.content["temperature"] for card in cards)
    assert first == other_test < other_validation
    sure = Answers.of(LOGITS[:20] * 9, LABELS[:20], np.arange(20) < 5)
    card = carded(wrong(9), wrong(0), non_digits={"empty": sure})
    assert card.content["non_digits"]["empty"]["refused"] == 15


def test_rows_that_are_not_finite_are_counted_and_become_a_guess():
    logits = LOGITS.copy()
    logits[3, 7], logits[4] = np.inf, np.nan
    answers = Answers.of(logits, LABELS, INKED)
    assert answers.not_finite == 2
    assert (answers.logits[3:5] == 0).all() and np.array_equal(answers.logits[5:], LOGITS[5:])
    assert np.isinf(logits[3, 7]), "the input stays as it was"
