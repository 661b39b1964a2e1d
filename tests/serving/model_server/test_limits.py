import gzip

import pytest

from digits_model_server.limits import Limits, gunzip
from digits_model_server.status import Status


def test_a_bomb_is_stopped_by_its_ratio_and_by_its_size():
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(Status, match="more than 200 times its size"):
        gunzip(bomb, Limits())
    with pytest.raises(Status, match="larger than 100000 bytes") as caught:
        gunzip(bomb, Limits(request_bytes=100_000, gzip_ratio=0))
    assert caught.value.code == 8
    assert len(gunzip(bomb, Limits(request_bytes=0, gzip_ratio=0))) == 10_000_000


@pytest.mark.parametrize(
    "body", [b"{}", gzip.compress(b"x" * 1000, mtime=0)[:-9], b""], ids=["no gzip", "cut short", "nothing"]
)
def test_what_is_not_gzip_or_cut_short_is_refused(body):
    with pytest.raises(Status, match="gzip"):
        gunzip(body, Limits())
