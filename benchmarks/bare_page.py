"""The peer of `page_rate`: a table of fifty rows, rendered by Jinja2 behind FastAPI, and nothing else.

Run as `python -m benchmarks.bare_page`; prints its address like the service does.
"""

import socket

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment

ROWS = [(number, f"Stops charging at 80 per cent ({number})", "P0A7E", "open") for number in range(50)]
PAGE = Environment(autoescape=True).from_string(
    "<!doctype html><title>Tickets</title><table>{% for number, title, code, status in rows %}"
    '<tr><td>medium<td><a href="/tickets/{{ number }}">{{ title }}</a><td>{{ number }}<td>{{ code }}<td>{{ status }}'
    "<td>due in {{ number }} h<td>{{ number }} min{% endfor %}</table>"
)

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def show() -> str:
    return PAGE.render(rows=ROWS)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"EFI is ready: http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    _Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False)).run()
