import struct

import pytest

from digits_model_server import tfrecord
from digits_model_server.status import DATA_LOSS, Status


def masked(data):
    checksum = tfrecord.crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(*found):
    parts = [part for each in found for part in (struct.pack("<Q", len(each)), each)]
    return b"".join(part + struct.pack("<I", masked(part)) for part in parts)


def test_the_checksum_has_the_published_values():
    assert tfrecord.crc32c(b"123456789") == 0xE3069283  # which every description of the checksum gives
    assert tfrecord.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_records_are_read_and_written_as_by_others():
    found = [b"", b"one", b"x" * 5000]
    assert list(tfrecord.records(framed(*found))) == found
    assert b"".join(map(tfrecord.frame, found)) == framed(*found)


def test_a_changed_byte_anywhere_and_a_file_that_is_cut_short_are_noticed():
    whole = framed(b"hello")
    for place in (0, 9, 14, 17):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises(Status, match="Please verify your warmup data is in TFRecord format") as caught:
            list(tfrecord.records(changed))
        assert caught.value.code == DATA_LOSS
    for left in (1, 11, 13, 18):
        with pytest.raises(Status, match="truncated"):
            list(tfrecord.records(whole[:left]))
