import pytest

from serving.model_server import status
from serving.model_server.status import HTTP, NAMES


@pytest.mark.parametrize(
    ("http", "codes"),
    [
        (200, ["OK"]),
        (400, ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"]),
        (401, ["UNAUTHENTICATED"]),
        (403, ["PERMISSION_DENIED"]),
        (404, ["NOT_FOUND"]),
        (409, ["ALREADY_EXISTS", "ABORTED"]),
        (429, ["RESOURCE_EXHAUSTED"]),
        (499, ["CANCELLED"]),
        (500, ["UNKNOWN", "INTERNAL", "DATA_LOSS"]),
        (501, ["UNIMPLEMENTED"]),
        (503, ["UNAVAILABLE"]),
        (504, ["DEADLINE_EXCEEDED"]),
    ],
)
def test_every_code_has_upstream_s_http_status(http, codes):
    assert sorted(NAMES[code] for code, status in HTTP.items() if status == http) == sorted(codes)


def test_the_codes_are_those_of_grpc():
    import grpc

    assert {name: code for code, name in NAMES.items()} == {
        each.name: each.value[0] for each in grpc.StatusCode
    }
    assert HTTP.keys() == NAMES.keys() and status.LONGEST == 1024
