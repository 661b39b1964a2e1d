"""What a candidate must pass on a real server before it is published and promoted."""
