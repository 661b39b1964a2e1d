"""The stage that checks the data and quarantines what is unusable."""
