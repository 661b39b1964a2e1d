import numpy as np
import pytest

from digits.evaluate.metrics import fit_temperature, log_loss, log_softmax
from digits.runtime.errors import DataError


def honest(n: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that knows its probabilities, and labels drawn from them."""
    rng = np.random.default_rng(1)
    logits = scale * rng.normal(size=(n, 10))
    chances = np.exp(log_softmax(logits)).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > chances).sum(axis=1).clip(0, 9).astype(np.uint8)


@pytest.mark.parametrize("distortion", [0.3, 1.0, 4.0])
def test_a_model_whose_logits_were_multiplied_is_set_right(distortion: float) -> None:
    logits, labels = honest(20_000, scale=2.0)
    assert fit_temperature(distortion * logits, labels) == pytest.approx(distortion, rel=0.05)


@pytest.mark.parametrize(("distortion", "temperature"), [(0.001, 0.05), (1000.0, 20.0)])
def test_temperatures_stay_within_their_bounds(distortion: float, temperature: float) -> None:
    logits, labels = honest(500, scale=2.0)
    assert fit_temperature(distortion * logits, labels) == pytest.approx(temperature, rel=1e-3)


def test_no_other_temperature_has_less_loss() -> None:
    logits, labels = honest(5_000, scale=3.0)
    best = fit_temperature(5 * logits, labels)
    losses = [log_loss(5 * logits / t, labels) for t in (best, 0.9 * best, 1.1 * best)]
    assert losses[0] == min(losses)


@pytest.mark.parametrize("n", [10, 100])
def test_a_small_flawless_validation_split_does_not_make_a_model_infallible(n: int) -> None:
    labels = np.arange(n, dtype=np.uint8) % 10
    logits = 5.0 * np.eye(10)[labels]
    doubt = 1 - np.exp(log_softmax(logits / fit_temperature(logits, labels))).max(axis=1)
    assert doubt == pytest.approx(1 / (n + 2), rel=1e-3)  # Platt's: one more mistake in n + 2


def test_no_validation_images_are_refused() -> None:
    with pytest.raises(DataError, match="validation split is empty"):
        fit_temperature(np.empty((0, 10)), np.empty(0, np.uint8))
