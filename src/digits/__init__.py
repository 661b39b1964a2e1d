"""The pipeline: from labelled images to a tested, exported model that reads handwritten digits.

STAGES are the stages of the pipeline in run order; each is a package of that name, and `dvc.yaml` says which
files it turns into which.
"""

STAGES = ("ingest", "validate", "preprocess", "train", "lines", "evaluate", "export", "convert")
