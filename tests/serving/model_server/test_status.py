import grpc

from digits_model_server.status import HTTP, NAMES

EXPECTED = {
    200: {"OK"},
    400: {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"},
    401: {"UNAUTHENTICATED"},
    403: {"PERMISSION_DENIED"},
    404: {"NOT_FOUND"},
    409: {"ALREADY_EXISTS", "ABORTED"},
    429: {"RESOURCE_EXHAUSTED"},
    499: {"CANCELLED"},
    500: {"UNKNOWN", "INTERNAL", "DATA_LOSS"},
    501: {"UNIMPLEMENTED"},
    503: {"UNAVAILABLE"},
    504: {"DEADLINE_EXCEEDED"},
}


def test_every_code_of_grpc_has_upstream_s_http_status():
    assert {name: code for code, name in NAMES.items()} == {
        each.name: each.value[0] for each in grpc.StatusCode
    }
    found = {}
    for code, status in HTTP.items():
        found.setdefault(status, set()).add(NAMES[code])
    assert found == EXPECTED
