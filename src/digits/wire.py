"""The wire contract: names, shapes and dtypes of the served signatures. serving/README.md explains them.

No imports: clients and servers take these names without loading anything.
"""

MODEL = "digits"  # the model's name on a server; `digits_canary` while a candidate is on trial
CANARY = "digits_canary"

PIXELS = "serving_default"  # for clients that have MNIST-like pixels
ENCODED = "encoded"  # for clients that have a PNG or JPEG
CLASSIFY = "classify"  # for the Classify API, over tf.Example
LINES = "lines"  # for clients that have cut lines of writing out of a picture
LINES_ENCODED = "lines_encoded"  # for clients that have a PNG or JPEG of one line
# Versions made before there were lines lack the last two.
SIGNATURES = (PIXELS, ENCODED, CLASSIFY, LINES, LINES_ENCODED)

IMAGES = "images"  # input of PIXELS: uint8 [n, 28, 28], 0–255, white ink on black
IMAGE_BYTES = (
    "image_bytes"  # input of both ENCODED: string [n]; the suffix makes REST clients send {"b64": …}
)
EXAMPLES = "inputs"  # input of CLASSIFY: string [n], serialized tf.Example; the Classify API fixes the name
EXAMPLE_KEY = "image/encoded"  # the feature of such an Example that holds the PNG or JPEG

LINE_IMAGES = "lines"  # input of LINES: uint8 [n, 32, w], grey, upright, filled up at the right to one width
WIDTH = "width"  # input of LINES: int32 [n], from 1 to w, how many pixels of that are the line's

PROBABILITIES = "probabilities"  # float32 [n, 10], calibrated, each row sums to 1
DIGIT = "digit"  # int64 [n], the likeliest digit
CONFIDENCE = "confidence"  # float32 [n], the probability of that digit
ACCEPTED = "accepted"  # bool [n], whether that is enough; versions made before this output existed lack it
NEVER = 1.01  # the threshold that no confidence reaches: every answer is withheld
CLASSES = "classes"  # of CLASSIFY: string [n, 10], "0" … "9"; the Classify API fixes the name
SCORES = "scores"  # of CLASSIFY: float32 [n, 10], the probability of each class; ditto

TEXT = "text"  # of lines: string [n], the digits from left to right
WRITTEN = "written"  # string [n], the same with a dot for every separator
LENGTH = "length"  # int32 [n], characters found, at most LONGEST
CHARACTER = "character"  # int32 [n, LONGEST]: 0–9, 10 for a separator, and -1 after the last
PROBABILITY = "probability"  # float32 [n, LONGEST], of each character where it is surest; -1 after the last
POSITION = "position"  # float32 [n, LONGEST], of its middle, in pixels from the left; -1 after the last
COLUMNS = "columns"  # float32 [n, ⌈w / 4⌉, 12]: per 4 pixels the probabilities of 0–9, separator, nothing
COLUMN_COUNT = "column_count"  # int32 [n], how many of these are the line's

# As digits.line_model.lines has them, which a test compares
HEIGHT = 32  # pixels of a line
COLUMN = 12  # probabilities of a column
LONGEST = 24  # characters of a line's answer; of a longer line the first are given, and it is not accepted

# name → dtype and shape, where None is the batch or, after the first place, varies
Aliases = dict[str, tuple[str, tuple[int | None, ...]]]

INPUTS: dict[str, Aliases] = {
    PIXELS: {IMAGES: ("uint8", (None, 28, 28))},
    ENCODED: {IMAGE_BYTES: ("string", (None,))},
    CLASSIFY: {EXAMPLES: ("string", (None,))},
    LINES: {LINE_IMAGES: ("uint8", (None, HEIGHT, None)), WIDTH: ("int32", (None,))},
    LINES_ENCODED: {IMAGE_BYTES: ("string", (None,))},
}
_PREDICTION: Aliases = {
    PROBABILITIES: ("float32", (None, 10)),
    DIGIT: ("int64", (None,)),
    CONFIDENCE: ("float32", (None,)),
    ACCEPTED: ("bool", (None,)),
}
_LINE: Aliases = {
    TEXT: ("string", (None,)),
    WRITTEN: ("string", (None,)),
    CONFIDENCE: ("float32", (None,)),
    ACCEPTED: ("bool", (None,)),
    LENGTH: ("int32", (None,)),
    CHARACTER: ("int32", (None, LONGEST)),
    PROBABILITY: ("float32", (None, LONGEST)),
    POSITION: ("float32", (None, LONGEST)),
    COLUMNS: ("float32", (None, None, COLUMN)),
    COLUMN_COUNT: ("int32", (None,)),
}
OUTPUTS: dict[str, Aliases] = {
    PIXELS: _PREDICTION,
    ENCODED: _PREDICTION,
    CLASSIFY: {CLASSES: ("string", (None, 10)), SCORES: ("float32", (None, 10))},
    LINES: _LINE,
    LINES_ENCODED: _LINE,
}

# The method name that each signature carries in the SavedModel; strict servers check the Classify API's.
METHODS = {
    PIXELS: "tensorflow/serving/predict",
    ENCODED: "tensorflow/serving/predict",
    CLASSIFY: "tensorflow/serving/classify",
    LINES: "tensorflow/serving/predict",
    LINES_ENCODED: "tensorflow/serving/predict",
}

WARMUP = "assets.extra/tf_serving_warmup_requests"  # replayed by a server before a version takes requests
PROVENANCE = "assets.extra/provenance.json"  # which data, parameters and scores a version comes from
MONITORING = "assets.extra/monitoring.json"  # what requests are compared with; older versions lack it

# Below models/edge, and beside a published version in models/serving/edge/<n>.
ANSWER = "answer.json"  # what a caller does with the logits: temperature, threshold; which normalisation
EDGE_PROVENANCE = "provenance.json"  # which export the formats were made from, and the digest of each file
