"""The baseline over REST with aiohttp, the library of the embedded server: nothing is computed.

python -m bench.serving.apps.noop_rest_aiohttp PORT
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from bench.serving.apps.noop_rest import answer


async def _answered(request: web.BaseRequest) -> web.Response:
    return web.Response(body=answer(await request.read()), content_type="application/json")


async def _serve(port: int) -> None:
    server = web.Server(_answered, access_log=None)
    await (await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
