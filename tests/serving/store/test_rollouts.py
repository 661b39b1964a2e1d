"""Versions change under load: no request fails, each answer is its version's, a trial stays unseen."""

import threading
import time

import grpc
import numpy as np
import pytest

from digits import wire
from serving.store import promote, publish
from serving.store.store import Store
from tests.serving._server import Server
from tests.serving._tiny import export

ROLLOUTS, ROLLBACKS, CLIENTS = 100, 20, 3


class Clients:
    """Threads that ask for pixels over gRPC without pause, and note what they get."""

    def __init__(self, target, image, expected):
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self.failures, self.seen, self._stop = [], [], threading.Event()
        self._channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._request = predict_pb2.PredictRequest()
        self._request.model_spec.name = wire.MODEL
        self._request.inputs[wire.IMAGES].CopyFrom(tf.make_tensor_proto(image))
        self._expected = expected
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()

    def _ask(self):
        while not self._stop.is_set():
            try:
                answer = self._stub.Predict(self._request, timeout=20)
            except grpc.RpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
                continue
            version = answer.model_spec.version.value
            got = list(answer.outputs[wire.PROBABILITIES].float_val)
            if not np.allclose(got, self._expected[version], atol=1e-5):
                self.failures.append(f"an answer that is not version {version}'s")
            self.seen.append(version)

    def wait_for(self, version, seconds=60.0):
        end = time.monotonic() + seconds
        while not (self.seen and self.seen[-1] == version):
            assert not self.failures, self.failures[:3]
            assert time.monotonic() < end, f"version {version} does not answer"
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_rollouts_and_twenty_rollbacks_lose_no_request(tmp_path):
    import tensorflow as tf

    store = Store(tmp_path / "serving")
    image = np.random.default_rng(1).integers(0, 256, (1, 28, 28), np.uint8)
    expected = {}
    for shift in (1, 2, 3):
        source = export(tmp_path / f"exported-{shift}", shift=shift)
        number = publish.publish(store, source, {})
        loaded = tf.saved_model.load(str(source))
        expected[number] = loaded.signatures[wire.PIXELS](images=tf.constant(image))[
            wire.PROBABILITIES
        ].numpy()[0]
    assert not np.allclose(expected[1], expected[2]) and not np.allclose(expected[2], expected[3])

    promote.promote(store, 1, None)
    flags = (f"--model_config_file={store.pointer}", "--model_config_file_poll_wait_seconds=1")
    with Server(tmp_path / "log", *flags) as server, Clients(server.target, image, expected) as clients:
        clients.wait_for(1)
        stable = 1
        for turn in range(ROLLOUTS):
            wanted = 3 - stable
            if turn % 10 == 0:
                promote.promote(store, 3, stable, canary=True)
                end = time.monotonic() + 60
                while server.rest(f"/v1/models/{wire.CANARY}")[0] != 200:
                    assert time.monotonic() < end, "the version on trial does not come"
                    time.sleep(0.05)
            promote.promote(store, wanted, stable)
            stable = wanted
            clients.wait_for(stable)
            if turn % (ROLLOUTS // ROLLBACKS) == 0:
                stable = promote.rollback(store).stable
                clients.wait_for(stable)
    assert not clients.failures
    assert set(clients.seen) == {1, 2}, "no ordinary client sees the version on trial"
    assert len(clients.seen) > 1000
