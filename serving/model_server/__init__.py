"""A model server for machines without `tensorflow_model_server`: its flags, gRPC and REST, any SavedModel.

process    main · flags · config · limits · memory · priority
models     manager · keeper · watched · version · versions · warmup (tfrecord)
computing  savedmodel · sessions · runtime · clibrary (TensorFlow's) · tensors · dtypes · protos
answers    predict · classify · about (metadata, status, reload) · statuses
gRPC       grpc_server · grpc_api · logged (calls that go into the request log)
counting   observing · metrics · counted
logging    request_log · log_records · log_sinks · log_files
REST       http_server · rest_api · rest_paths · rest_messages
JSON       json_text · json_values · json_tensors · json_answers · json_examples
"""
