"""Model servers side by side under load; `python -m bench.serving` writes docs/results-serving.md."""
