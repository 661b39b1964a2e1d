"""The names of the wire contract that this client uses, explained in serving/README.md of the project.

A package of its own can't import the project; the project's tests compare these names with its `digits.wire`.
"""

MODEL = "digits"

PIXELS = "serving_default"  # signature for pixels as in MNIST
ENCODED = "encoded"  # signature for whole PNG or JPEG files
LINES = "lines"  # signature for pixels of lines of writing; model versions made before it existed lack it
LINES_ENCODED = "lines_encoded"  # ditto, for PNG or JPEG files of one line each
IMAGES = "images"  # input of PIXELS: uint8 [n, 28, 28], 0–255, white ink on black
IMAGE_BYTES = "image_bytes"  # input of ENCODED and LINES_ENCODED: string [n]
LINE_IMAGES = "lines"  # input of LINES: uint8 [n, 32, w], filled up at the right to one width
WIDTH = "width"  # input of LINES: int32 [n], how many pixels of w are the line's

PROBABILITIES = "probabilities"  # float32 [n, 10]
DIGIT = "digit"  # int64 [n]
CONFIDENCE = "confidence"  # float32 [n]
ACCEPTED = "accepted"  # bool [n]; model versions made before this output existed lack it

TEXT = "text"  # of lines: string [n], the digits
WRITTEN = "written"  # string [n], with a dot for every separator
LENGTH = "length"  # int32 [n]
CHARACTER = "character"  # int32 [n, 24]: 0–9, SEPARATOR, and -1 after the last
PROBABILITY = "probability"  # float32 [n, 24]
POSITION = "position"  # float32 [n, 24]
COLUMNS = "columns"  # float32 [n, t, 12]
COLUMN_COUNT = "column_count"  # int32 [n], how many of t are the line's

HEIGHT = 32  # pixels of a line
WIDEST = 2048  # pixels of a line
SEPARATOR = 10
LONGEST = 24  # characters of a line's answer
COLUMN = 12  # probabilities of a column
MOST_LINES = 64  # in one request, whatever their widths

SIDE = 28  # pixels
AREA = SIDE * SIDE
DIGITS = 10

PORTS = {"grpc": 8500, "rest": 8501}  # TensorFlow Serving's
