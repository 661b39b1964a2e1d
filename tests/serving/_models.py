"""Small SavedModels of several kinds, none of them digits'."""

from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1


def half_plus(path: Path, constant: float = 2.0) -> Path:
    """TF1 style: y = x / 2 + constant, x of [n, 1]."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        half = v1.get_variable("half", initializer=0.5, use_resource=False)
        y = tf.add(tf.multiply(x, half), constant, name="y")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        _save(session, path, {"serving_default": signature})
    return path


def many(path: Path) -> Path:
    """Several signatures: two inputs of different types, strings, numbers without rows, classes."""
    with v1.Graph().as_default(), v1.Session() as session:
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
        build = v1.saved_model.predict_signature_def
        signatures = {
            "serving_default": build({"a": a, "b": b}, {"total": total, "twice": 2 * total}),
            "strings": build({"s": s}, {"shouted": shouted, "raw_bytes": tf.identity(s)}),
            "scalar": build({"free": free}, {"sum": tf.reduce_sum(free)}),
            "endless": build({"free": free}, {"never": steps}),
            "classes": build({"inputs": s}, {"scores": scores}),
        }
        _save(session, path, signatures)
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


def _save(session, path: Path, signatures) -> None:
    builder = v1.saved_model.builder.SavedModelBuilder(str(path))
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()


def joinable(path: Path) -> Path:
    """What shows how requests are run together: each row answers with the size of its run."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, None], name="x")
        s = v1.placeholder(tf.string, [None], name="s")
        rows = tf.fill([tf.shape(x)[0]], tf.shape(x)[0])
        build = v1.saved_model.predict_signature_def
        signatures = {
            "serving_default": build({"x": x}, {"sum": tf.reduce_sum(x, axis=1), "rows": rows}),
            "numbers": build({"s": s}, {"number": tf.strings.to_number(s), "twin": tf.identity(s)}),
            "whole": build({"x": x}, {"all": tf.reduce_sum(x)}),
            "first": build({"x": x}, {"first": x[:1]}),
        }
        _save(session, path, signatures)
    return path
