"""The service as people start it: `python server.py` and `efi`, as processes of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, serving


def efi(data_dir: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env=environment(data_dir),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_data_survive_a_restart_and_commands_work_beside_the_service(tmp_path: Path):
    data_dir = tmp_path / "data"
    with serving(data_dir) as first:
        password = first.password
        assert password
        with first.sign_in(password) as client:
            assert client.post("/api/organisations", json={"name": "Fleet One"}).status_code == 201
            ready = client.get("/readyz").json()
            assert ready["status"] == "ready"
            assert ready["parts"]["store"]["status"] == "ok"
            assert ready["parts"]["mail"] == {
                "status": "off",
                "detail": "EFI_SMTP_HOST is not set: messages stay in the inbox",
            }
        # Beside the running service: the command finds its store.
        changed = efi(data_dir, "password", "admin@efi.example.com", typed="a new passphrase\n")
        assert changed.returncode == 0, changed.stderr
        first.sign_in("a new passphrase").close()
        unknown = efi(data_dir, "password", "nobody@efi.example.com", typed="a new passphrase\n")
        assert (unknown.returncode, unknown.stderr.strip()) == (
            1,
            "There is no user 'nobody@efi.example.com' that you may see.",
        )
    # The server ends in good order before it lets the signal end the process.
    assert first.process.returncode == -signal.SIGTERM
    log = (tmp_path / "log").read_text()
    assert "Application shutdown complete" in log
    assert password not in log

    with serving(data_dir) as second:
        assert second.password is None
        with second.sign_in("a new passphrase") as client:
            assert [entry["name"] for entry in client.get("/api/organisations").json()["items"]] == ["Fleet One"]

    assert efi(data_dir, "migrate").stdout == "Nothing to do.\n"
    for file in data_dir.rglob("*"):
        if file.is_file():
            assert password.encode() not in file.read_bytes(), file


def test_a_huge_body_over_the_wire_gets_its_answer(tmp_path: Path, database_url: str, worker_id: str):
    """The client is still sending when the answer comes; the connection must not break before it is read."""
    body = b" " * 20 * 1024 * 1024
    store = {"EFI_MONGO_URL": database_url, "EFI_MONGO_DATABASE": f"efi_server_{worker_id}"}
    (tmp_path / "data").mkdir()
    with serving(tmp_path / "data", EFI_ADMIN_PASSWORD="the admin's passphrase", **store) as service:
        with service.sign_in("the admin's passphrase") as client:
            for content in (body, iter([body[: 1 << 20]] * 20)):
                headers = {"Content-Type": "application/json"}
                answer = client.post("/api/organisations", content=content, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        host, port = re.match(r"http://(.*):(\d+)", service.url).groups()
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            # A client that asks first is refused without sending a byte of it.
            raw.sendall(
                b"POST /api/organisations HTTP/1.1\r\nHost: efi\r\nContent-Length: 20971520\r\n"
                b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
            )
            assert raw.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"EFI_MONGO_URL": "mongodb://"}, "EFI_MONGO_URL"),
        ({"EFI_STORE_CACHE": "a lot"}, "cache size 'a lot'"),
    ],
)
def test_a_start_that_fails_says_why_in_a_sentence(tmp_path: Path, changes: dict[str, str], sentence: str):
    (tmp_path / "data").mkdir()
    result = subprocess.run(
        [sys.executable, "server.py"],
        cwd=ROOT,
        env=environment(tmp_path / "data", **changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_waits_for_the_store_can_be_broken_off(tmp_path: Path, told: signal.Signals):
    store = tmp_path / "bin" / "mongod"
    store.parent.mkdir()
    store.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    store.chmod(0o755)
    service = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=ROOT,
        env=environment(tmp_path / "data", PATH=f"{store.parent}{os.pathsep}{os.environ['PATH']}"),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    service.send_signal(told)
    _, said = service.communicate(timeout=30)

    assert service.returncode == 1
    assert "The start was broken off." in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
