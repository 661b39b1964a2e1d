import struct

import pytest

from serving.model_server import tfrecord
from serving.model_server.status import DATA_LOSS, Status


def masked(data):
    checksum = tfrecord.crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(*found):
    heads = [struct.pack("<Q", len(each)) for each in found]
    return b"".join(
        head + struct.pack("<I", masked(head)) + each + struct.pack("<I", masked(each))
        for head, each in zip(heads, found, strict=True)
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),  # the check value that every description of the checksum gives
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_has_the_published_values(data, expected):
    assert tfrecord.crc32c(data) == expected


def test_records_come_back():
    found = [b"", b"one", b"x" * 5000]
    assert list(tfrecord.records(framed(*found))) == found


@pytest.mark.parametrize("place", [0, 9, 14, 17])
def test_a_changed_byte_anywhere_is_noticed(place):
    data = bytearray(framed(b"hello"))
    data[place] ^= 1
    with pytest.raises(Status, match="Please verify your warmup data is in TFRecord format") as caught:
        list(tfrecord.records(bytes(data)))
    assert caught.value.code == DATA_LOSS


@pytest.mark.parametrize("left", [1, 11, 13, 18])
def test_a_file_that_is_cut_short_is_noticed(left):
    with pytest.raises(Status, match="truncated"):
        list(tfrecord.records(framed(b"hello")[:left]))


def test_what_is_written_is_what_others_write():
    for record in (b"", b"one", b"x" * 5000):
        assert tfrecord.frame(record) == framed(record)
