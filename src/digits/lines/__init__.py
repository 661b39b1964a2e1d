"""Stage `lines`: trains the reader of whole lines on lines composed of the training digits."""
