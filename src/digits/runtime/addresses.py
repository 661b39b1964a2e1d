"""Shows addresses without the secrets in them: of data sources, databases, and DVC's and Git's remotes.

A password in a mistyped address is secret too, so this reads text that no parser of addresses would take.
What can't be told from a secret is left out as well.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")  # also with one slash or three
_USER = re.compile(r"[^/\s@]+:[^@]*@")  # of an address without a scheme, as in user:password@host/path
_IN_TEXT = re.compile(rf"{_SCHEME.pattern}[^\s'\"<>`]+")


def shown(address: str) -> str:
    """Return an address without its user, password, query and fragment; a path of this machine as it is."""
    text = address.strip()
    scheme = found[0] if (found := _SCHEME.match(text)) else ""
    rest = text.removeprefix(scheme)
    if not scheme and not _USER.match(rest):
        return text
    at, query = rest.rfind("@"), re.search(r"[?#]", rest)
    if query and at > query.start():  # a password with a question mark, or a query with an at sign
        return f"{scheme}{HIDDEN}"
    place = rest[: query.start()] if query else rest
    if at >= 0:
        place = f"{HIDDEN}@{place[at + 1 :]}"
    return f"{scheme}{place}?{HIDDEN}" if query else f"{scheme}{place}"


def without_secrets(text: str) -> str:
    """Return a text, such as another program's error, with the addresses in it as `shown` gives them."""
    return _IN_TEXT.sub(lambda found: shown(found[0]), text)
