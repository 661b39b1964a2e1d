"""The stage that scores the candidate and decides whether it passes the gate."""
