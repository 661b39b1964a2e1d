"""The stage that divides the data into splits."""
