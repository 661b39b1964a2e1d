"""Pictures of digits in a row, as people write them on forms, made from the single digits of a data set."""
