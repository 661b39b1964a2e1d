"""The seven stages: files in, files out. `dvc.yaml` says which files; each module's `run` does the work."""

STAGES = ("ingest", "validate", "preprocess", "train", "evaluate", "export", "convert")
