"""Serves the page, its modules, and the formats of the versions for the browser.

They come from the same origin as the API, so that the content security policy 'self' needs no exception.
"""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path

from fastapi import APIRouter
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from serving.app import schemas, state
from serving.app.errors import Refusal
from serving.app.versions import Published

STATIC = Path(__file__).resolve().parents[1] / "static"
CHECKED = {"Cache-Control": "no-cache"}  # kept, and asked for again each time: an update shows at once
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # a version's files never change
PRIVATE = {"Cache-Control": "private, max-age=31536000, immutable"}  # with a key, nor in a cache of many
ROOT = {
    "/": ("index.html", {}),
    "/docs": ("docs.html", {}),
    "/review": ("review.html", {}),
    "/sw.js": ("sw.js", {"Service-Worker-Allowed": "/"}),
    "/manifest.webmanifest": ("manifest.webmanifest", {}),
}

mimetypes.add_type("text/javascript", ".js")  # not every machine's table knows these
mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("application/manifest+json", ".webmanifest")

router = APIRouter(include_in_schema=False)


def static() -> ASGIApp:
    """The app of the page's files, compressed."""
    return GZipMiddleware(_Checked(directory=STATIC), minimum_size=1000)


class _Checked(StaticFiles):
    def file_response(self, *values: object, **options: object) -> Response:
        """The file, with the header that has it asked for again."""
        answer = super().file_response(*values, **options)  # type: ignore[arg-type]
        answer.headers.update(CHECKED)
        return answer


def _at_root(name: str, headers: dict[str, str]) -> object:
    async def page() -> Response:
        return FileResponse(STATIC / name, headers=CHECKED | headers)

    return page


for _path, (_name, _headers) in ROOT.items():
    router.add_api_route(_path, _at_root(_name, _headers), methods=["GET", "HEAD"], response_class=Response)  # type: ignore[arg-type]


@router.get("/edge/{number}/{name:path}", response_class=Response)
async def edge(request: Request, number: schemas.Version, name: str) -> Response:
    """One file of a version's formats."""
    here = state.of(request)
    path = await asyncio.to_thread(_file, here.published, number, name)
    return FileResponse(path, headers=FOREVER if here.settings.key is None else PRIVATE)


def _file(published: Published, number: int, name: str) -> Path:
    folder = published.formats(number)
    if folder is None:
        raise Refusal("not_found", f"version {number} has no formats for browsers: see docs/edge.md")
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a zero byte
        inside = False
    if ".." in Path(name).parts or not inside:
        raise Refusal("not_found", f"version {number} has no such file")
    return path
