"""The stage that trains the candidate."""
