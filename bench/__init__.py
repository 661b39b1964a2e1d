"""Side-by-side measurements; each command here prints the figures that the documents quote."""
