"""The wire contract: names, shapes and dtypes of the served signatures. serving/README.md explains them.

No imports: clients and servers take these names without loading anything.
"""

MODEL = "digits"  # the model's name on a server; `digits_canary` while a candidate is on trial
CANARY = "digits_canary"

PIXELS = "serving_default"  # for clients that have MNIST-like pixels
ENCODED = "encoded"  # for clients that have a PNG or JPEG
CLASSIFY = "classify"  # for the Classify API, over tf.Example
SIGNATURES = (PIXELS, ENCODED, CLASSIFY)

IMAGES = "images"  # input of PIXELS: uint8 [n, 28, 28], 0–255, white ink on black
IMAGE_BYTES = "image_bytes"  # input of ENCODED: string [n]; the suffix makes REST clients send {"b64": …}
EXAMPLES = "inputs"  # input of CLASSIFY: string [n], serialized tf.Example; the Classify API fixes the name
EXAMPLE_KEY = "image/encoded"  # the feature of such an Example that holds the PNG or JPEG

PROBABILITIES = "probabilities"  # float32 [n, 10], calibrated, each row sums to 1
DIGIT = "digit"  # int64 [n], the likeliest digit
CONFIDENCE = "confidence"  # float32 [n], the probability of that digit
ACCEPTED = "accepted"  # bool [n], whether that is enough; versions made before this output existed lack it
NEVER = 1.01  # the threshold that no confidence reaches: every answer is withheld
CLASSES = "classes"  # of CLASSIFY: string [n, 10], "0" … "9"; the Classify API fixes the name
SCORES = "scores"  # of CLASSIFY: float32 [n, 10], the probability of each class; ditto

Aliases = dict[str, tuple[str, tuple[int | None, ...]]]  # name → dtype and shape, where None is the batch

INPUTS: dict[str, Aliases] = {
    PIXELS: {IMAGES: ("uint8", (None, 28, 28))},
    ENCODED: {IMAGE_BYTES: ("string", (None,))},
    CLASSIFY: {EXAMPLES: ("string", (None,))},
}
_PREDICTION: Aliases = {
    PROBABILITIES: ("float32", (None, 10)),
    DIGIT: ("int64", (None,)),
    CONFIDENCE: ("float32", (None,)),
    ACCEPTED: ("bool", (None,)),
}
OUTPUTS: dict[str, Aliases] = {
    PIXELS: _PREDICTION,
    ENCODED: _PREDICTION,
    CLASSIFY: {CLASSES: ("string", (None, 10)), SCORES: ("float32", (None, 10))},
}

# The method name that each signature carries in the SavedModel; strict servers check the Classify API's.
METHODS = {
    PIXELS: "tensorflow/serving/predict",
    ENCODED: "tensorflow/serving/predict",
    CLASSIFY: "tensorflow/serving/classify",
}

WARMUP = "assets.extra/tf_serving_warmup_requests"  # replayed by a server before a version takes requests
PROVENANCE = "assets.extra/provenance.json"  # which data, parameters and scores a version comes from

# Below models/edge, and beside a published version in models/serving/edge/<n>.
ANSWER = "answer.json"  # what a caller does with the logits: temperature, threshold; which normalisation
EDGE_PROVENANCE = "provenance.json"  # which export the formats were made from, and the digest of each file
