"""A profile's name, the keys that override it, and the number of images → a recipe with every value concrete.

Budgets are in steps, since a budget in epochs does not carry over to other amounts of data: 7 epochs are
1,500 steps of MNIST and 100 of its 4,000-image sample. (The tutorials' are in epochs, as they have them.) Up
to SMALL images the preset's small-data settings apply, where it has any; the recipe says whether they did.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from digits.augment.policies import SMALL, augmentation
from digits.model.recipe import Recipe, rows_of
from digits.runtime.errors import ParamsError
from digits.runtime.params import TrainParams
from digits.train.zoo import PROFILES, Settings, over

DECAYING = ("adamw", "muon")


@dataclass(frozen=True)
class Hardware:
    """What a training runs on, and the settings that suit it."""

    device: str  # cpu | gpu
    precision: str  # float32 | bfloat16 | float16
    xla: str  # nothing | augmentation | everything


def resolve(params: TrainParams, n: int, hardware: Hardware) -> Recipe:
    """The recipe for `n` training images. Raises ParamsError where keys contradict each other."""
    given = params.model_dump(exclude=_NOT_OF_THE_RECIPE, exclude_none=True)
    return _recipe(params.profile, given, n, hardware)


_NOT_OF_THE_RECIPE = {"profile", "device", "distribution", "precision", "xla", "in_memory"}


def _recipe(profile: str, given: Settings, n: int, hardware: Hardware) -> Recipe:
    bent = augmentation(profile, n, given.pop("augmentation", {}))
    settings, few = PROFILES[profile]
    small = n <= SMALL and bool(few)
    if small:
        settings = over(settings, few)
    if settings["optimizer"] != given.get("optimizer", settings["optimizer"]):
        settings = settings | {"weight_decay": 0.0}  # the preset's belongs to its optimizer
    settings = over(settings, given)
    if settings["weight_decay"] and settings["optimizer"] not in DECAYING:
        raise ParamsError(
            f"train.weight_decay is {settings['weight_decay']} with the optimizer {settings['optimizer']}, "
            "which has none: take adamw or muon, or train.l2"
        )
    if settings["sparsity"] and settings["early_stopping"]:
        raise ParamsError(
            f"train.sparsity is {settings['sparsity']} with train.early_stopping, which may keep weights "
            "from before that share of them is zero: set one of the two to 0"
        )
    settings["batch"] = min(settings["batch"], n)
    epochs = settings.pop("epochs", None)
    digits = settings["batch"] - rows_of(settings["outliers"], settings["batch"])
    if digits < 1:
        raise ParamsError(
            f"train.outliers is {settings['outliers']:g} of batches of {settings['batch']}, which leaves no "
            "room for a digit: take a larger train.batch, or no outliers"
        )
    if epochs:
        settings["steps"] = epochs * max(1, n // digits)
    teacher = _teacher(settings, given["seed"], n, hardware)
    return Recipe(
        profile=profile,
        n_train=n,
        small_data=small,
        **asdict(hardware),
        **settings | {"augmentation": asdict(bent), "teacher": teacher},
    )


def _teacher(settings: Settings, seed: int, n: int, hardware: Hardware) -> Recipe | None:
    """The recipe of the teacher that the settings name. Raises ParamsError when it can't be one."""
    name, share = settings["teacher"], settings["distillation"]
    if (name != "none") != (share > 0):
        raise ParamsError(
            f"train.teacher is {name} and train.distillation {share:g}: a teacher needs a share above 0, and "
            "the other way round"
        )
    if name == "none":
        return None
    teacher = _recipe(name, {"seed": seed}, n, hardware)
    if teacher.teacher:
        raise ParamsError(f"train.teacher is {name}, which has a teacher itself: take another profile")
    if teacher.normalization != settings["normalization"]:
        raise ParamsError(
            f"train.teacher is {name}, whose normalization is {teacher.normalization}, and its pupil's "
            f"{settings['normalization']}: they must be alike"
        )
    return teacher
