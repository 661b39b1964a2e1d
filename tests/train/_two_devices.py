"""Trains on one device and on two, in a process of its own: python -m tests.train._two_devices FOLDER.

TensorFlow sets the number of its logical devices once, before it computes anything. The results of each
recipe are written to FOLDER, <name>-<devices>.npz: the weights, the losses of each epoch, and how it ended.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from digits.train.devices import Replicas
from digits.train.fit import FitResult, fit
from digits.train.loop import Loop
from tests._raw import split
from tests.train._recipes import outliers, tiny

# Plain gradient descent: Adam divides by the gradient's own size, and makes of a rounding error a step.
PLAIN = {"optimizer": "sgd", "weight_decay": 0.0}
RECIPES = {
    "whole": tiny(**PLAIN, steps=5, ema=0.9, dropout=0.3, l1=1e-5, l2=1e-4, outliers=0.1),
    "ensemble": tiny(
        **PLAIN,
        architecture="small+mlp-128",
        teacher=tiny(**PLAIN, steps=5, architecture="mlp-128"),
        distillation=0.5,
        steps=5,
    ),
    "stopping": tiny(**PLAIN, architecture="mlp-128", steps=100, early_stopping=1, rate=0.5, ema=0.0),
    "muon": tiny(optimizer="muon", rate=0.01, steps=3),
    "pruned": tiny(**PLAIN, steps=5, sparsity=0.5, ema=0.9),
    "float16": tiny(**PLAIN, steps=10, rate=0.02, architecture="mlp-128", precision="float16"),
}
SCALE = 2.0**24  # of float16's loss: gradients overflow in the first steps


def main(folder: Path) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    mirrored = Replicas(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    train, validation = split(320, seed=1), split(100, seed=2)
    crosses = np.tile(np.maximum(np.eye(28), np.eye(28)[::-1]), (5, 1, 1)).astype(np.uint8) * 255
    began = Loop.__init__

    def scaled(self: Loop, *arguments: object) -> None:
        began(self, *arguments)
        if self.recipe.precision == "float16":
            self.optimizer.dynamic_scale.assign(SCALE)

    Loop.__init__ = scaled
    for name, recipe in RECIPES.items():
        for count, together in ((1, None), (2, mirrored)):
            result = fit(train, validation, recipe, additions=outliers(crosses), together=together)
            np.savez(folder / f"{name}-{count}.npz", **arrays(result))


def arrays(result: FitResult) -> dict[str, np.ndarray]:
    weights = {f"weight_{place}": w for place, w in enumerate(result.model.get_weights())}
    losses = {
        key: np.array([getattr(epoch, key) for epoch in result.history]) for key in ("loss", "val_loss")
    }
    ended = {"stopped": np.array(result.stopped_early), "kept": np.array(result.validation_loss)}
    return weights | losses | ended


if __name__ == "__main__":
    main(Path(sys.argv[1]))
