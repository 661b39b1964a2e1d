import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from serving.checks.comparison import (
    Best,
    Contender,
    Duel,
    Limits,
    compare,
    without_champion,
    worse_probability,
)

CANDIDATE = Contender(5, sample=False, size=1_000_000, accuracy=0.9968)
CHAMPION = Contender(3, sample=False, size=1_000_000, accuracy=0.9968)


def duel(n=10_000, both=0, only_champion=0, only_candidate=0, latency=(2.0, 2.0)):
    """Images that both misread, that only the one and only the other reads; the rest both read."""
    candidate, champion = np.ones(n, bool), np.ones(n, bool)
    candidate[: both + only_champion] = False
    champion[:both] = False
    champion[both + only_champion : both + only_champion + only_candidate] = False
    return Duel(candidate, champion, *latency)


def failing(outcome):
    failed = [rule.rule for rule in outcome.rules if not rule.passed]
    assert outcome.passed == (not failed)
    assert outcome.failed == tuple(rule.reason for rule in outcome.rules if not rule.passed)
    assert all(rule.reason for rule in outcome.rules)
    return failed


def rules(outcome):
    return {rule.rule: rule for rule in outcome.rules}


NAMES = ["sample", "accuracy", "paired_test", "best_ever", "signatures", "size", "latency"]
LINES = ["lines_accuracy", "lines_paired_test", "lines_latency"]
READS = replace(CANDIDATE, lines=True), replace(CHAMPION, lines=True)


def test_an_equal_candidate_passes():
    for best in (None, Best(3, 0.9968)):
        outcome = compare(CANDIDATE, CHAMPION, duel(both=32), best)
        assert failing(outcome) == [] and list(rules(outcome)) == NAMES


def test_a_loss_of_five_hundredths_of_a_point_is_allowed_and_one_image_more_is_not():
    assert failing(compare(CANDIDATE, CHAMPION, duel(only_champion=25, only_candidate=20), None)) == []
    lost = compare(CANDIDATE, CHAMPION, duel(only_champion=26, only_candidate=20), None)
    assert failing(lost) == ["accuracy"]
    assert "99.74% right where version 3 has 99.80% on the same 10,000 images, at" in lost.failed[0]


def test_few_but_one_sided_losses_count_as_worse():
    assert failing(compare(CANDIDATE, CHAMPION, duel(only_champion=5), None)) == ["paired_test"]
    assert failing(compare(CANDIDATE, CHAMPION, duel(only_champion=4), None)) == []
    assert failing(compare(CANDIDATE, CHAMPION, duel(both=40, only_champion=5), None)) == ["paired_test"]
    lost = duel(only_champion=5)  # its p is 1/32
    for limit, failed in ((1 / 32, []), (math.nextafter(1 / 32, 1), ["paired_test"])):
        assert failing(compare(CANDIDATE, CHAMPION, lost, None, Limits(p_worse=limit))) == failed


@pytest.mark.parametrize(("a", "b"), [(0, 0), (5, 0), (0, 5), (30, 20), (20, 30), (700, 640), (3000, 3000)])
def test_the_paired_test_is_the_exact_binomial_one(a, b):
    expected = binomtest(a, a + b, 0.5, alternative="greater").pvalue if a + b else 1.0
    assert worse_probability(a, b) == pytest.approx(expected, rel=1e-9)


def test_allowed_losses_must_not_add_up():
    outcome = compare(CANDIDATE, CHAMPION, duel(both=50, only_candidate=9), Best(1, 0.9961))
    assert failing(outcome) == ["best_ever"]
    assert "version 1, had 99.61%" in outcome.failed[0]
    assert failing(compare(CANDIDATE, CHAMPION, duel(both=50, only_candidate=9), Best(1, 0.9960))) == []


def test_what_was_made_on_the_sample_never_replaces_what_was_made_on_everything():
    sample = replace(CANDIDATE, sample=True)
    refused = compare(sample, CHAMPION, duel(only_candidate=50), None)
    assert failing(refused) == ["sample"]
    assert refused.failed == ("trained on the sample, while version 3 was trained on the full data set",)
    passed = compare(CANDIDATE, replace(CHAMPION, sample=True), duel(), None)
    assert failing(passed) == [] and rules(passed)["sample"].reason == "trained on no less data"


def test_between_two_made_on_the_sample_the_best_ever_may_be_missed_by_more():
    sample, champion = replace(CANDIDATE, sample=True), replace(CHAMPION, sample=True)
    small = duel(n=1000, only_champion=15, only_candidate=10)
    assert failing(compare(sample, champion, small, Best(1, 0.994))) == []
    assert failing(compare(sample, champion, small, Best(1, 0.996))) == ["best_ever"]


@pytest.mark.parametrize(
    ("candidate", "champion", "loss"),
    [(False, False, 0.0005), (True, False, 0.0005), (False, True, 0.0005), (True, True, 0.005)],
)
def test_the_wider_limit_is_for_two_that_were_made_on_the_sample(candidate, champion, loss):
    pair = replace(CANDIDATE, sample=candidate), replace(CHAMPION, sample=champion)
    rule = rules(compare(*pair, duel(both=20, only_champion=3), None))["accuracy"]
    assert (rule.value, rule.threshold) == pytest.approx((0.9977, 0.998 - loss))


def test_a_much_larger_or_slower_candidate_is_refused():
    limit = int(1.5 * CHAMPION.size) + 1024 * 1024
    assert failing(compare(replace(CANDIDATE, size=limit), CHAMPION, duel(), None)) == []
    assert failing(compare(replace(CANDIDATE, size=limit + 1), CHAMPION, duel(), None)) == ["size"]
    assert failing(compare(CANDIDATE, CHAMPION, duel(latency=(4.0, 2.0)), None)) == []
    slow = compare(CANDIDATE, CHAMPION, duel(latency=(4.1, 2.0)), None)
    assert failing(slow) == ["latency"] and slow.failed[0].startswith("4.10 ms for one image, the champion")
    assert failing(compare(CANDIDATE, CHAMPION, duel(latency=(float("nan"), 2.0)), None)) == ["latency"]


def test_without_test_images_nothing_is_passed():
    assert failing(compare(CANDIDATE, CHAMPION, duel(n=0), None)) == ["accuracy", "paired_test"]
    uneven = replace(duel(n=10), champion_right=np.ones(9, bool))
    assert failing(compare(CANDIDATE, CHAMPION, uneven, None)) == ["accuracy", "paired_test"]


def test_the_best_ever_is_met_by_what_was_measured_and_else_by_what_is_on_record():
    for n, value in ((0, CANDIDATE.accuracy), (1, 1.0)):
        assert rules(compare(CANDIDATE, CHAMPION, duel(n=n), Best(1, 0.99)))["best_ever"].value == value


def test_every_reason_that_failed_is_given():
    worst = replace(CANDIDATE, sample=True, size=10**9)
    outcome = compare(worst, CHAMPION, duel(only_champion=200, latency=(9, 1)), Best(1, 1))
    assert failing(outcome) == [name for name in NAMES if name != "signatures"]


def of_lines(**given):
    return replace(duel(), lines=duel(**{"n": 2000} | given))


def test_two_that_read_lines_are_compared_on_them_too():
    outcome = compare(*READS, of_lines(both=300), None)
    assert failing(outcome) == [] and list(rules(outcome)) == NAMES + LINES
    assert "85.00% right where version 3 has 85.00% on the same 2,000 lines" in outcome.rules[7].reason
    signatures = rules(outcome)["signatures"]
    assert (signatures.value, signatures.threshold, signatures.reason) == (1.0, 1.0, "it answers every call")


def test_ten_lines_of_two_thousand_may_be_lost_if_that_may_be_chance():
    assert failing(compare(*READS, of_lines(only_champion=30, only_candidate=20), None)) == []
    lost = compare(*READS, of_lines(only_champion=31, only_candidate=20), None)
    assert failing(lost) == ["lines_accuracy"] and "at most 0.50% less allowed" in lost.failed[0]
    lost = compare(*READS, of_lines(only_champion=5), None)
    assert failing(lost) == ["lines_paired_test"]
    assert "5 lines are read by the champion alone and 0 by the candidate: p = 0.031" in lost.failed[0]


def test_a_line_may_take_half_as_long_again_and_a_millisecond():
    assert failing(compare(*READS, of_lines(latency=(10.0, 6.0)), None)) == []
    slow = compare(*READS, of_lines(latency=(10.1, 6.0)), None)
    assert failing(slow) == ["lines_latency"]
    assert slow.failed == ("10.10 ms for one line, the champion takes 6.00 ms, at most 10.00 ms allowed",)


def test_two_that_read_lines_can_not_be_compared_without_lines():
    assert failing(compare(*READS, duel(), None)) == LINES
    assert failing(compare(*READS, of_lines(n=0), None)) == LINES[:2]
    assert "there are no test lines to compare on" in compare(*READS, duel(), None).failed


def test_a_version_that_reads_no_lines_is_replaced_by_one_that_does_and_not_the_other_way_round():
    assert failing(compare(READS[0], CHAMPION, duel(), None)) == []
    lost = compare(CANDIDATE, READS[1], duel(), None)
    assert failing(lost) == ["signatures"] and lost.failed == ("it reads no lines, as version 3 does",)
    assert (rules(lost)["signatures"].value, rules(lost)["signatures"].threshold) == (0.0, 1.0)


def test_a_line_reader_that_is_new_may_take_six_mebibytes():
    limit = int(1.5 * CHAMPION.size) + 1024 * 1024
    more = limit + 6 * 1024 * 1024
    for pair, most in (((READS[0], CHAMPION), more), (READS, limit), ((CANDIDATE, CHAMPION), limit)):
        for size, passed in ((most, True), (most + 1, False)):
            outcome = compare(replace(pair[0], size=size), pair[1], of_lines(), None)
            assert rules(outcome)["size"].passed is passed


def test_the_first_version_ever_passes_and_says_so_unless_a_better_one_was_promoted_before():
    outcome = without_champion(CANDIDATE, None)
    assert failing(outcome) == [] and outcome.champion is None
    assert list(rules(outcome)) == ["champion", "best_ever"]
    assert "nothing is in service yet" in outcome.rules[0].reason
    assert failing(without_champion(CANDIDATE, Best(1, 0.9979))) == ["best_ever"]
    assert failing(without_champion(replace(CANDIDATE, accuracy=None), Best(1, 0.99))) == ["best_ever"]
    assert failing(without_champion(CANDIDATE, Best(1, 0.9979), Limits(drift=0.01))) == []


def test_limits_can_be_given_and_the_outcome_is_plain():
    strict = Limits(loss=0.0, p_worse=0.0)
    outcome = compare(CANDIDATE, CHAMPION, duel(only_champion=1), None, strict)
    assert failing(outcome) == ["accuracy"]
    plain = outcome.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["rules"][1]["passed"] is False
