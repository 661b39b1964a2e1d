"""The stage that fetches the data set and the incoming batches."""
