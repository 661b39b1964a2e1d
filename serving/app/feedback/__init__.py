"""Corrections: what people say a digit or a line really says, kept, reviewed, and given to retraining.

Their kinds and states are here, without imports, so that a command line can name them at once.
"""

DIGIT, LINE = "digit", "line"
KINDS = (DIGIT, LINE)
PENDING, ACCEPTED, REJECTED = "pending", "accepted", "rejected"
EXPORTING, EXPORTED = "exporting", "exported"  # given to an export; in an inbox
STATES = (PENDING, ACCEPTED, REJECTED, EXPORTING, EXPORTED)
MONITOR = (
    "monitor"  # the source of an image that nobody sent a label with: it was chosen from the request log
)
UNSAID = ""  # the label of such a digit, until a reviewer gives one
