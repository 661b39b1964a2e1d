"""Clients of the health service, in the messages of grpc.health.v1."""

from digits_model_server.grpc import health

REQUEST, RESPONSE = (health.message(f"HealthCheck{name}") for name in ("Request", "Response"))


def check(channel, name=""):
    call = channel.unary_unary(f"/{health.NAME}/Check", REQUEST.SerializeToString, RESPONSE.FromString)
    return call(REQUEST(service=name), timeout=20).status


def watch(channel, name=""):
    call = channel.unary_stream(f"/{health.NAME}/Watch", REQUEST.SerializeToString, RESPONSE.FromString)
    return call(REQUEST(service=name))
