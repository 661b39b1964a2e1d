"""Where a correction stands. No imports: a command line names them without loading anything."""

PENDING, ACCEPTED, REJECTED = "pending", "accepted", "rejected"
EXPORTING, EXPORTED = "exporting", "exported"  # given to an export; in an inbox
STATES = (PENDING, ACCEPTED, REJECTED, EXPORTING, EXPORTED)
