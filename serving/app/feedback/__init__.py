"""Corrections: what people say a digit really is, kept, reviewed, and given to the inbox of retraining.

The states of a correction are here, without imports, so that a command line can name them at once.
"""

PENDING, ACCEPTED, REJECTED = "pending", "accepted", "rejected"
EXPORTING, EXPORTED = "exporting", "exported"  # given to an export; in an inbox
STATES = (PENDING, ACCEPTED, REJECTED, EXPORTING, EXPORTED)
