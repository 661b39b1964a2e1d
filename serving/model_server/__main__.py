"""Run the model server by `python -m serving.model_server`."""

from serving.model_server.main import run

run()
