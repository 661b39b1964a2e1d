"""A profile → the space that `digits sweep` searches where none is given. Plain values.

Each range holds the profile's own value; docs/LOG.md has what was tried.
"""

from __future__ import annotations

Space = dict[str, str]  # key of the section train → what it may be, for flows.search.space

OURS: Space = {
    "rate": "log(0.004,0.05)",
    "weight_decay": "log(0.005,0.2)",
    "label_smoothing": "uniform(0,0.2)",
    "augmentation.rotation": "uniform(5,25)",
    "augmentation.elastic": "uniform(0.2,1.5)",
    "augmentation.damaged": "uniform(0,0.6)",
}
ROBUST: Space = OURS | {
    "augmentation.severe": "uniform(0,0.4)",
    "augmentation.wide": "uniform(0,0.4)",
    "outliers": "[0.0,0.02,0.05,0.1]",
}
LONG: Space = OURS | {"dropout": "uniform(0,0.5)"}
TUTORIAL: Space = {"rate": "log(0.0001,0.01)", "batch": "[32,64,128]"}
SPACES: dict[str, Space] = {
    "speedrun": OURS,
    "fast": ROBUST,
    "robust": ROBUST,
    "standard": LONG,
    "full": LONG,
    "tiny": OURS,
    "S0": TUTORIAL,
    "S1": TUTORIAL,
    "S2": TUTORIAL,
    "S3": TUTORIAL,
    "S4": TUTORIAL,
    "S4-dropout": TUTORIAL | {"dropout": "uniform(0,0.6)"},
    "S4-l2": TUTORIAL | {"l2": "log(0.000001,0.01)"},
    "S4-augmented": TUTORIAL
    | {"augmentation.rotation": "uniform(0,40)", "augmentation.mirrored": "uniform(0,0.5)"},
    "S4-early-stopping": TUTORIAL | {"early_stopping": "[1,2,3,5]"},
}


def texts(profile: str) -> list[str]:
    """The profile's space in the words of the command line."""
    return [f"train.{key}={spec}" for key, spec in SPACES[profile].items()]
