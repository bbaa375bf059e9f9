"""The peer of `match_http`: FastAPI that reads the same question and answers a constant, and nothing else.

Run as `python -m benchmarks.bare_match BYTES`; prints its address like the service does.
"""

import json
import socket
import sys

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

from routes.api.match_schemas import FailureMatchRequest

ANSWER = json.dumps({"matches": "x" * int(sys.argv[1])}).encode() if __name__ == "__main__" else b""

app = FastAPI()


@app.post("/api/efi/match")
async def match(body: FailureMatchRequest) -> Response:
    return Response(ANSWER, media_type="application/json")


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"EFI is ready: http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    _Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False)).run()
