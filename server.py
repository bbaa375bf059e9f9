"""The service. `app` is the ASGI application; `python server.py` serves it."""

import asyncio
import gc
import socket
import sys

import uvicorn

from app.factory import create_app
from app.logs import configure_logs
from app.middleware import StartErrors
from app.settings import Settings

settings = Settings()
configure_logs(settings.log_level, as_json=settings.env == "production")
app = create_app(settings)


class _Server(uvicorn.Server):
    """Says where to look once it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        giving_up = asyncio.create_task(self._give_up_if_told())
        try:
            await super().startup(sockets)
        finally:
            giving_up.cancel()
            # Also when the start fails after it: nobody could ever sign in otherwise.
            if password := getattr(app.state, "first_password", None):
                print(f"Password of {settings.admin_email}: {password}   (shown once and stored nowhere)", flush=True)
        if self.started:
            # The index stays: the collector, which would look through it every few hundred requests, shall pass it by.
            gc.collect()
            gc.freeze()
            port = self.servers[0].sockets[0].getsockname()[1]
            _announce(settings.public_url or f"http://{_host(settings.host)}:{port}")

    async def _give_up_if_told(self) -> None:
        """Ends the process on a signal during the start, which a store that replays its log makes long."""
        while not self.should_exit:  # noqa: ASYNC110 - set by a signal handler
            await asyncio.sleep(0.1)
        sys.exit(1)


def _host(host: str) -> str:
    """The address to type into a browser on this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _announce(url: str) -> None:
    print(f"EFI is ready: {url}", flush=True)
    print(f"  API, to read and try: {url}/docs/", flush=True)
    print(f"  sign in as {settings.admin_email}", flush=True)


SWITCH_SECONDS = 0.001
"""How long a thread computes before another that waits for the interpreter gets it. The sentence model's thread needs
it for a moment before and after each complaint; by Python's own 5 ms it would wait longer than it works."""


def main() -> None:
    """Serve until SIGINT or SIGTERM. Exits with 1 if the service cannot start."""
    sys.setswitchinterval(SWITCH_SECONDS)
    server = _Server(
        uvicorn.Config(
            StartErrors(app),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # the application logs each request itself, with its correlation id
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=10,
        )
    )
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
