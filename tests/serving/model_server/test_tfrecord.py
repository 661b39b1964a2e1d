import struct

import pytest

from digits_model_server import tfrecord
from digits_model_server.status import DATA_LOSS, Status


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
        (b"123456789", 0xE3069283),  # the check value that every description of the checksum gives
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
    ],
)
def test_the_checksum_has_the_published_values(data, expected):
    assert tfrecord.crc32c(data) == expected


def test_records_are_read_and_written_as_by_others():
    found = [b"", b"one", b"x" * 5000]
    assert list(tfrecord.records(framed(*found))) == found
    assert b"".join(map(tfrecord.frame, found)) == framed(*found)


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
