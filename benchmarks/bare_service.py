"""The peer of `ticket_to_suggestions`: nothing but FastAPI and one durable insert into the same store.

Run as `python -m benchmarks.bare_service DATA_DIR`; prints its address like the service does.
"""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pymongo import AsyncMongoClient

from app.embedded_store import start_embedded_store
from app.ids import new_id
from models.ticket import TicketContent


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    store = await start_embedded_store(Path(sys.argv[1]))
    async with AsyncMongoClient(store.url) as client:
        app.state.tickets = client["bare"]["tickets"]
        yield
    await store.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/api/tickets", status_code=201)
async def create(body: TicketContent) -> dict[str, Any]:
    ticket_id = new_id("ticket")
    await app.state.tickets.insert_one({"_id": ticket_id, **body.model_dump(mode="json")})
    return {"ticket_id": ticket_id}


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"EFI is ready: http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    _Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False)).run()
