"""A small server that speaks the embedding and chat parts of OpenAI's protocol, and misbehaves on request."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from app.settings import Settings
from matching import HashingEmbedder

DIMENSIONS = 128


class LanguageModelServer:
    """`trouble` makes every answer wrong until it is cleared; `asked` holds the bodies of all requests."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.trouble: Callable[[_Handler], None] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def settings(self, **changes: Any) -> Settings:
        chosen: dict[str, Any] = {
            "openai_base_url": self.url,
            "openai_embedding_model": "words",
            "openai_embedding_dimensions": DIMENSIONS,
            "openai_timeout_seconds": 5,
            "openai_question_timeout_seconds": 1,
            "openai_max_retries": 1,
        }
        return Settings(_env_file=None, **(chosen | changes))

    def texts(self) -> list[str]:
        """All texts that were to be embedded."""
        return [text for body in self.asked for text in body.get("input", [])]


@contextlib.contextmanager
def serving_a_model() -> Iterator[LanguageModelServer]:
    server = LanguageModelServer()
    thread = threading.Thread(target=server._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server._server.shutdown()
    server._server.server_close()
    thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    owner: LanguageModelServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.asked.append(self.body)
        self.owner.keys.add(self.headers["Authorization"].removeprefix("Bearer "))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.owner.trouble is not None:
                self.owner.trouble(self)
            elif self.path.endswith("/embeddings"):
                self.vectors(HashingEmbedder(self.body["dimensions"]).embed(self.body["input"]))
            else:
                self.text(f"You said: {self.body['messages'][-1]['content']}")

    def vectors(self, rows: np.ndarray) -> None:
        """Last row first: the order of the answer is not promised."""
        entries = [
            {"object": "embedding", "index": number, "embedding": self._coded(row)} for number, row in enumerate(rows)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        self.reply({"object": "list", "model": self.body["model"], "data": entries[::-1], "usage": usage})

    def _coded(self, row: np.ndarray) -> Any:
        if self.body.get("encoding_format") == "base64":
            return base64.b64encode(row.astype("<f4").tobytes()).decode()
        return row.tolist()

    def text(self, content: str | None, finish: str = "stop") -> None:
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        answer = {"id": "c", "object": "chat.completion", "created": 0, "model": "words-1"}
        self.reply(answer | {"choices": [choice], "usage": usage})

    def reply(self, body: Any, status: int = 200) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


def fails_with(status: int) -> Callable[[_Handler], None]:
    return lambda request: request.reply({"error": {"message": "the secret text"}}, status)


def is_silent_for(seconds: float) -> Callable[[_Handler], None]:
    def wait(request: _Handler) -> None:
        time.sleep(seconds)
        request.close_connection = True

    return wait


def gives_vectors(rows: Callable[[int], np.ndarray]) -> Callable[[_Handler], None]:
    return lambda request: request.vectors(rows(len(request.body["input"])))


def says(body: Any) -> Callable[[_Handler], None]:
    return lambda request: request.reply(body)


TROUBLES: dict[str, tuple[Callable[[_Handler], None], str]] = {
    "error": (fails_with(500), "answered with HTTP 500"),
    "key": (fails_with(401), "refuses the key"),
    "too many": (fails_with(429), "too many requests"),
    "silence": (is_silent_for(1.5), "did not answer within 1 s"),
    "short vectors": (gives_vectors(lambda count: np.ones((count, 64))), "of shape"),
    "too few": (gives_vectors(lambda count: np.ones((count - 1 or 2, DIMENSIONS))), "of shape"),
    "NaN": (gives_vectors(lambda count: np.full((count, DIMENSIONS), np.nan)), "not finite"),
    "no JSON": (says(b"<html>"), "cannot be read"),
    "no list": (says({"data": None}), "cannot be read"),
}
"""Ways to misbehave, with what is said about each."""
