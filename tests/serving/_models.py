"""Small SavedModels of several kinds, none of them for digits."""

import contextlib
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

v1 = tf.compat.v1
build = v1.saved_model.predict_signature_def


def build_as(given, answers, method=None):
    """Return a signature for a call."""
    info = v1.saved_model.build_tensor_info
    both = ({alias: info(each) for alias, each in tensors.items()} for tensors in (given, answers))
    return v1.saved_model.build_signature_def(*both, method)


def write_all(folder: Path) -> None:
    """Write each model that the tests of the model server's calls need, some in two versions."""
    half_plus(folder / "one" / "1", 1.0)
    half_plus(folder / "half" / "122", 1.0)
    half_plus(folder / "half" / "123", 2.0)
    graded(folder / "graded" / "2", half=1.0)
    graded(folder / "graded" / "3")
    for make in (many, lenient, typed, counter):
        make(folder / make.__name__ / "7")
    for make in (modern, oldest):
        make(folder / make.__name__ / "00000123")


@contextlib.contextmanager
def _graph(path: Path):
    """A TF1 graph, with the signatures that it is saved with."""
    with v1.Graph().as_default(), v1.Session() as session:
        signatures = {}
        yield signatures
        if v1.global_variables():
            session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


def half_plus(path: Path, constant: float = 2.0) -> Path:
    """TF1 style: y = x / 2 + constant, x of [n, 1]."""
    with _graph(path) as signatures:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        half = v1.get_variable("half", initializer=0.5, use_resource=False)
        y = tf.add(tf.multiply(x, half), constant, name="y")
        signatures["serving_default"] = build({"x": x}, {"y": y})
    return path


def many(path: Path) -> Path:
    """Several signatures: two inputs of different types, strings, numbers without rows, classes."""
    with _graph(path) as signatures:
        a = v1.placeholder(tf.float32, [None, 2], name="a")
        b = v1.placeholder(tf.int32, [None], name="b")
        s = v1.placeholder(tf.string, [None], name="s")
        free = v1.placeholder(tf.float32, None, name="free")
        total = tf.reduce_sum(a, axis=1) + tf.cast(b, tf.float32)
        shouted = tf.strings.upper(s)
        scores = tf.stack([tf.cast(tf.strings.length(s), tf.float32), tf.ones_like(s, tf.float32)], axis=1)
        steps = tf.while_loop(
            lambda i, _: i < 2**62,
            lambda i, x: (i + 1, x * 1.0000001),
            [tf.constant(0, tf.int64), tf.reduce_sum(free)],
        )[1]
        signatures |= {
            "serving_default": build({"a": a, "b": b}, {"total": total, "twice": 2 * total}),
            "strings": build({"s": s}, {"shouted": shouted, "raw_bytes": tf.identity(s)}),
            "scalar": build({"free": free}, {"sum": tf.reduce_sum(free)}),
            "endless": build({"free": free}, {"never": steps}),
            "classes": build({"inputs": s}, {"scores": scores}),
        }
    return path


def lenient(path: Path) -> Path:
    """`many`, where the input b of serving_default may be left out: it is 5 then."""
    many(path)
    file = path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signature = model.meta_graphs[0].signature_def["serving_default"]
    signature.defaults["b"].CopyFrom(tf.make_tensor_proto([5], tf.int32))
    file.write_bytes(model.SerializeToString())
    return path


def modern(path: Path) -> Path:
    """TF2 style, bfloat16 and int64 outputs among others."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def __call__(self, x):
            return {"square": x * x, "first": tf.cast(x[:, 0], tf.int64), "b": tf.cast(x, tf.bfloat16)}

    model = Model()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.__call__})
    return path


def warm_up(path: Path, *requests) -> None:
    """Write the file of recorded PredictRequests that a server replays when it loads a version."""
    (path / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def graded(path: Path, half: float = 0.5) -> Path:
    """TF1 style, as old exports serve Examples: y = x / 2 + 2 of the float feature `x`, with method names.

    `regress` and `regress_column` answer [n] and [n, 1]; `classify` labels and scores, `scores` and `labels`
    one of the two; the others are invalid in some way.
    """
    with _graph(path) as signatures:
        files = v1.placeholder(tf.string, [None], name="files")
        other = v1.placeholder(tf.string, [None], name="other")
        parse = v1.parse_example
        x = parse(files, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        z = parse(other, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        weight = v1.get_variable("weight", initializer=half, use_resource=False)  # a reference variable
        column = tf.add(x * weight, 2.0, name="y")
        flat = tf.squeeze(column, 1)
        scores = tf.concat([column, -column], axis=1)
        labels = tf.stack([tf.strings.as_string(flat, precision=1), tf.fill(tf.shape(flat), "other")], axis=1)
        count = v1.get_variable("count", initializer=0.0, use_resource=False)
        counted = tf.zeros_like(flat) + v1.assign_add(count, 1.0)  # how often the graph was run for it
        classify, regress, plain = (
            f"tensorflow/serving/{word}" for word in ("classify", "regress", "predict")
        )
        made = {
            "serving_default": (files, {"outputs": flat}, regress),
            "regress": (files, {"outputs": flat}, regress),
            "regress_column": (files, {"outputs": column}, regress),
            "count": (files, {"outputs": counted}, regress),
            "count_too": (files, {"outputs": tf.identity(counted)}, regress),
            "regress_other": (other, {"outputs": tf.squeeze(z, 1)}, regress),
            "regress_wide": (files, {"outputs": scores}, regress),
            "regress_one": (files, {"outputs": tf.constant([1.0])}, regress),
            "regress_ints": (files, {"outputs": tf.cast(flat, tf.int64)}, regress),
            "regress_elsewhere": (files, {"out": flat}, regress),
            "regress_two": (files, {"outputs": flat, "more": flat}, regress),
            "regress_modern": (files, {"outputs": flat}, plain),
            "classify": (files, {"classes": labels, "scores": scores}, classify),
            "classify_modern": (files, {"classes": labels, "scores": scores}, plain),
            "labels": (files, {"classes": labels}, classify),
            "scores": (files, {"scores": scores}, classify),
            "classify_flat": (files, {"scores": flat}, classify),
            "classify_ints": (files, {"scores": tf.cast(scores, tf.int32)}, classify),
            "classify_numbers": (files, {"classes": scores}, classify),
            "classify_one": (files, {"scores": tf.constant([[1.0, 2.0]])}, classify),
            "classify_unlike": (files, {"classes": labels, "scores": column}, classify),
            "classify_elsewhere": (files, {"out": scores}, classify),
            "classify_three": (files, {"classes": labels, "scores": scores, "more": flat}, classify),
            "odd": (files, {"outputs": flat}, "my/own"),
        }
        for name, (given, answers, method) in made.items():
            signatures[name] = build_as({"inputs": given}, answers, method)
        signatures["elsewhere"] = build_as({"input": files}, {"outputs": flat}, regress)
        two = {"inputs": files, "more": other}
        signatures["two_inputs"] = build_as(two, {"outputs": flat}, regress)
    return path


def typed(path: Path) -> Path:
    """TF2 style: a signature for each data type, `x` in and `y` out, and one that reads Examples."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
        def regress(self, inputs):
            parsed = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})
            return {"outputs": parsed["x"] * 3.0}

    model = Model()
    signatures = {"serving_default": model.regress}
    for name in TYPES:
        spec = tf.TensorSpec(None, getattr(tf, name), name="x")
        signatures[name] = tf.function(lambda x: {"y": tf.identity(x)}).get_concrete_function(spec)
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


TYPES = (
    *("float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool"),
    *("bfloat16", "uint16", "complex128", "float16", "uint32", "uint64"),
)


def oldest(path: Path) -> Path:
    """As TensorFlow 1.0 wrote it: y = x / 2 + 3. The signatures have no shapes; x is fed in the middle of the
    graph, and the strings that `regress` takes are declared as floats.
    """
    with _graph(path) as signatures:
        files = v1.placeholder(tf.string, name="tf_example")
        parsed = v1.parse_example(files, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        x = tf.identity(parsed, name="x")
        half = v1.get_variable("a", initializer=0.5, use_resource=False)
        y = tf.add(half * x, 3.0, name="y")
        regress = build({"inputs": files}, {"outputs": y})
        regress.inputs["inputs"].dtype = tf.float32.as_datatype_enum
        regress.method_name = "tensorflow/serving/regress"
        signatures |= {"serving_default": build({"x": x}, {"y": y}), "tensorflow/serving/regress": regress}
        for signature in signatures.values():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                info.ClearField("tensor_shape")
    return path


def counter(path: Path) -> Path:
    """TF1 style, a reference variable that requests change: some signatures have no inputs."""
    with _graph(path) as signatures:
        count = v1.get_variable("counter", initializer=0.0, use_resource=False)
        delta = v1.placeholder(tf.float32, name="delta")
        made = {
            "get_counter": ({}, tf.identity(count)),
            "incr_counter": ({}, v1.assign_add(count, 1.0)),
            "incr_counter_by": ({"delta": delta}, v1.assign_add(count, tf.reduce_sum(delta))),
            "reset_counter": ({}, v1.assign(count, 0.0)),
        }
        for name, (given, answer) in made.items():
            signatures[name] = build_as(given, {"output": answer})
    return path


def pinned(path: Path, device: str = "/device:GPU:0") -> Path:
    """TF1 style, y = x / 2 + 2 on one device."""
    with _graph(path) as signatures:
        with v1.device(device):
            x = v1.placeholder(tf.float32, [None, 1], name="x")
            y = tf.add(x * 0.5, 2.0, name="y")
        signatures["serving_default"] = build({"x": x}, {"y": y})
    return path


def joinable(path: Path) -> Path:
    """A model that shows how requests are run together: each row's answer is the size of its run."""
    with _graph(path) as signatures:
        x = v1.placeholder(tf.float32, [None, None], name="x")
        s = v1.placeholder(tf.string, [None], name="s")
        rows = tf.fill([tf.shape(x)[0]], tf.shape(x)[0])
        signatures |= {
            "serving_default": build({"x": x}, {"sum": tf.reduce_sum(x, axis=1), "rows": rows}),
            "numbers": build({"s": s}, {"number": tf.strings.to_number(s), "twin": tf.identity(s)}),
            "whole": build({"x": x}, {"all": tf.reduce_sum(x)}),
            "first": build({"x": x}, {"first": x[:1]}),
        }
    return path
