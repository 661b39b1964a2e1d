"""HTTP requests to a server's REST port, with exactly the path and the body that a test gives."""

import http.client


def ask(server, verb, path, body=None, headers=None):
    """Return (status, headers, body) of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request(verb, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, dict(answer.headers), answer.read()
    connection.close()
    return found
