"""The command that asks the metadata service on an instance: the real script against a metadata
service on this machine, and what is made of what it prints."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from reconciler.aws.run_command import SCRIPTS, Platform, said
from reconciler.model.evidence import Metadata, Silence

INFO = {
    "Code": "Success",
    "LastUpdated": "2026-11-27T07:00:00Z",
    "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/web",
    "InstanceProfileId": "AIPAEXAMPLE0123456789",
}
PATHS = "/latest/meta-data/iam/"
NOT_FOUND = """<?xml version="1.0" encoding="iso-8859-1"?>
<html><head><title>404 - Not Found</title></head><body><h1>404 - Not Found</h1></body></html>
"""
TOKEN = "a-token"


@contextmanager
def metadata_service(pages: dict[str, str], *, gives_token: bool = True) -> Iterator[list[str]]:
    """At the address that the scripts are given; yields what was asked for, first its address."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append(f"PUT {self.path}")
            seconds = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            self._answer(200 if gives_token and seconds else 403, TOKEN if gives_token else "")

        def do_GET(self) -> None:
            asked.append(f"GET {self.path}")
            if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
                self._answer(401, "")
            elif (page := pages.get(self.path)) is not None:
                self._answer(200, page)
            else:
                self._answer(404, NOT_FOUND)

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    asked.append(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def run(address: str) -> str:
    script = "\n".join(SCRIPTS["shell"]).replace("http://169.254.169.254", address)
    return subprocess.run(  # the product's own script
        ["/bin/sh", "-c", script], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_the_script_reads_names_and_nothing_else() -> None:
    pages = {f"{PATHS}info": json.dumps(INFO, indent=2), f"{PATHS}security-credentials/": "web-v2"}
    with metadata_service(pages) as asked:
        printed = run(asked[0])
    assert asked[1:] == [
        "PUT /latest/api/token",
        f"GET {PATHS}info",
        f"GET {PATHS}security-credentials/",
    ]
    assert TOKEN not in printed
    found = said(printed, 5.0)
    assert found == Metadata(5.0, "web-v2", "AIPAEXAMPLE0123456789", 1795762800.0, "Success")


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ({}, "404"),
        ({f"{PATHS}info": json.dumps({**INFO, "Code": "InstanceProfileNotFound"})},
         "InstanceProfileNotFound"),
    ],
)  # fmt: skip
def test_an_instance_without_a_role(pages: dict[str, str], code: str) -> None:
    with metadata_service(pages) as asked:
        found = said(run(asked[0]), 5.0)
    assert isinstance(found, Metadata)
    assert (found.role, found.code) == (None, code)


def test_a_metadata_service_that_is_off() -> None:
    with metadata_service({}, gives_token=False) as asked:
        found = said(run(asked[0]), 5.0)
    assert isinstance(found, Silence)
    assert "switched off" in found.because


@pytest.mark.parametrize("platform", SCRIPTS)
def test_no_script_asks_for_credentials(platform: Platform) -> None:
    """The document behind the name of the role holds them."""
    text = "\n".join(SCRIPTS[platform])
    asked = re.findall(r"security-credentials/?(.)", text)
    assert asked
    assert set(asked) <= {"'", '"', " ", ")"}


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "reconciler",
        "reconciler info {}\nreconciler role web",
        "reconciler info []\nreconciler role web",
        "reconciler info {\nreconciler role web",
        f"reconciler info {json.dumps(INFO)}\n",
        f"reconciler info {json.dumps(INFO)}\nreconciler role \x1b[31mred",
        f"reconciler info {json.dumps(INFO)}\nreconciler role {'x' * 65}",
    ],
)
def test_what_has_not_the_form_says_nothing(printed: str) -> None:
    assert isinstance(said(printed, 5.0), Silence)
