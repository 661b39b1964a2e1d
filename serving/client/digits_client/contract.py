"""The names of the wire contract that this client uses, explained in serving/README.md of the project.

A package of its own can't import the project; the project's tests compare these names with its `digits.wire`.
"""

MODEL = "digits"

PIXELS = "serving_default"  # signature for pixels as in MNIST
ENCODED = "encoded"  # signature for whole PNG or JPEG files
IMAGES = "images"  # input of PIXELS: uint8 [n, 28, 28], 0–255, white ink on black
IMAGE_BYTES = "image_bytes"  # input of ENCODED: string [n]

PROBABILITIES = "probabilities"  # float32 [n, 10]
DIGIT = "digit"  # int64 [n]
CONFIDENCE = "confidence"  # float32 [n]
ACCEPTED = "accepted"  # bool [n]; model versions made before this output existed lack it

SIDE = 28  # pixels
AREA = SIDE * SIDE
DIGITS = 10

PORTS = {"grpc": 8500, "rest": 8501}  # TensorFlow Serving's
