"""What docs/queue.md gives organisers to copy works: the systemd unit, the mail and the webhook."""

from __future__ import annotations

import configparser
import http.server
import json
import shlex
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.score.changes import Change
from harness.score.notification import Notifier
from tests.docs.pages import ROOT, Page
from tests.docs.test_commands import command_lines, problem_of

PAGE = Page(ROOT / "docs" / "queue.md")
CHANGE = Change(
    "E001",
    "a" * 64,
    "submission_E001.zip",
    "test",
    "scoring",
    "scored",
    "",
    "average score 0.25",
    0.25,
    "2026",
)


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Serves in a thread; gives the port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def unit() -> str:
    return next(PAGE.fences("ini"))


def test_the_unit_starts_a_command_that_exists(unit: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit)
    program, *arguments = shlex.split(parser["Service"]["ExecStart"])
    assert Path(program).name == "cad1"
    assert problem_of(arguments) == ""
    assert parser["Service"]["KillMode"] == "mixed", (
        "sandboxes must not be killed before their answers are in"
    )


def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd on this machine")
    path = tmp_path / "cad1-watch.service"
    path.write_text(unit.replace("/usr/local/bin/cad1", sys.executable).replace("User=cad1\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "cad1-watch.service:" not in done.stderr, done.stderr
    broken = tmp_path / "broken.service"
    broken.write_text(unit.replace("KillMode=mixed", "KillMode=gentle"))
    done = subprocess.run(["systemd-analyze", "verify", broken], capture_output=True, text=True, check=False)
    assert "kill mode" in done.stderr, "systemd-analyze finds nothing"


class Mailbox(socketserver.StreamRequestHandler):
    """As much of a mail server as one mail needs."""

    mails: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.mails.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                return


def test_the_mail_is_sent(tmp_path: Path) -> None:
    (tmp_path / "mail.py").write_text(next(code for code in PAGE.fences("python") if "smtplib" in code))
    Mailbox.mails = []
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        command = f"{sys.executable} {tmp_path / 'mail.py'} 127.0.0.1:{port}"
        with Notifier(command, log=pytest.fail) as notifier:
            notifier(CHANGE)
    (mail,) = Mailbox.mails
    assert "Subject: E001: scored\r\n" in mail
    assert "submission_E001.zip of E001 is scored. average score 0.25" in mail


def test_the_webhook_gets_the_change() -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    posted: list[tuple[str | None, bytes]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.headers["Content-Type"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    line = next(line for line in command_lines(PAGE) if "hooks.example.org" in line)
    command = shlex.split(line)[-1]
    with serving(http.server.HTTPServer(("127.0.0.1", 0), Hook)) as port:
        local = command.replace("https://hooks.example.org", f"--noproxy '*' http://127.0.0.1:{port}")
        with Notifier(local, log=pytest.fail) as notifier:
            notifier(CHANGE)
    ((kind, body),) = posted
    assert kind == "application/json"
    assert json.loads(body)["average"] == 0.25


def test_the_example_has_the_keys_of_a_notification() -> None:
    from harness.score.notification import message

    example = json.loads(next(PAGE.fences("json")))
    assert list(example) == list(json.loads(message(CHANGE)))
