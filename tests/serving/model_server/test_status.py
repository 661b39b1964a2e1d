import grpc

from digits_model_server.status import HTTP, NAMES

EXPECTED = dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 400)
EXPECTED |= dict.fromkeys(("UNKNOWN", "INTERNAL", "DATA_LOSS"), 500)
EXPECTED |= {"OK": 200, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404}
EXPECTED |= {"ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499}
EXPECTED |= {"UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}


def test_every_code_of_grpc_has_upstream_s_http_status():
    assert {each.value[0]: each.name for each in grpc.StatusCode} == NAMES
    assert {NAMES[code]: status for code, status in HTTP.items()} == EXPECTED
