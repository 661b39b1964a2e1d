"""Run the model server by `python -m digits_model_server`."""

from digits_model_server.main import run

run()
