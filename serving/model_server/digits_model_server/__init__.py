"""A model server for machines without `tensorflow_model_server`: its flags, gRPC and REST, any SavedModel.

process      main, ports, flags, limits, process, metrics, middleware, status
models/      configuration, versions on disk, loading and unloading, warm-up, ModelService
runtime/     TensorFlow's C library: sessions, SavedModels, tensors
batching/    joins requests that arrive at the same time
inference/   Predict, Classify, Regress, MultiInference
grpc/        the gRPC port and its services
rest/        the REST port; its JSON in `rest/json`
request_log/ sampled requests as TFRecord files
"""

__version__ = "0.1.0"
