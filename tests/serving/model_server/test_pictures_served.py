"""Pictures behind the embedded server: the good are read by its process, those that mean harm are not."""

import pytest

from digits_client import BadRequest, DigitClient
from tests._digits import digits
from tests._pictures import kinds, png_claiming
from tests.serving._server import Server
from tests.test_saved_model import saved


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    saved(folder / "digits" / "1")
    with Server(folder / "log", "--model_name=digits", f"--model_base_path={folder / 'digits'}") as made:
        yield made
        assert made.process.poll() is None, f"a test ended the server: {made.text()}"


@pytest.fixture(scope="module", params=["grpc", "rest"])
def reader(server, request):
    port = server.port if request.param == "grpc" else server.rest_port
    with DigitClient(f"127.0.0.1:{port}", request.param, timeout=60) as made:
        yield made


def test_a_bad_picture_is_refused_with_its_reason_undecoded_and_does_not_lose_the_others(reader, server):
    images, labels = digits(3, seed=7)
    good, memory = kinds(images[2])["black on white"], server.memory()
    large = png_claiming(20_000, 20_000)
    found = reader.predict_bytes([good, b"nonsense", large, good], on_error="return")
    assert isinstance(found[1], BadRequest) and found[0].digit == found[3].digit == labels[2]
    assert "is 20000 pixels wide and 20000 high" in str(found[2])
    assert server.memory() < memory + 100
