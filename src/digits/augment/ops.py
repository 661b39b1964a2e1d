"""Training images, a seed and a step → the images as training sees them at that step, in the graph.

Every draw follows from (seed, step) alone, so any step can be replayed: a resumed training sees what an
unbroken one would have seen.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from digits.augment.damage import damage
from digits.augment.policies import Augmentation
from digits.augment.random_numbers import key_of
from digits.augment.severe import damage_severely
from digits.augment.warp import warp


def augment(images: Any, seed: int, step: Any, strengths: Augmentation) -> Any:
    """uint8 [n, 28, 28] → float32 [n, 28, 28] of 0–1, bent and damaged; n must be known when traced.

    Which rows are damaged, and how, goes by position: the caller's order must be random.
    """
    key = key_of(seed, step)
    bent = warp(tf.convert_to_tensor(images), key, strengths)
    hit = damage_severely(bent, key, strengths.severe, strengths.damaged)
    return damage(hit, key, strengths.damaged)
