"""`digits app`: the gateway between people and the model server, and the page that it serves.

README.md beside this file has its modules. No TensorFlow in this process: the model server computes.
"""
