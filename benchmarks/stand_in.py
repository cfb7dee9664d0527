"""Debian's nginx as a stand-in API: it answers at once, from memory, and knows nothing.

A submit gets a task id of its own, a look finds the task completed, the image is one JPEG file.
What is measured against it is the client's work and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000000;
  keepalive_timeout 75s;
  open_file_cache max=16 inactive=600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ image/jpeg jpg; }}
  default_type application/json;
  server {{
    listen 127.0.0.1:{plain} backlog=4096;
    listen 127.0.0.1:{secure} ssl backlog=4096;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location = /v1/images/generations {{
      return 200 '{{"code":200,"data":[{{"status":"submitted","task_id":"task_$request_id"}}]}}';
    }}
    location /v1/tasks/ {{
      return 200 '{{"code":200,"data":{{"id":"task","status":"completed","progress":100,\
"actual_time":0.001,"cost":0.0336,"result":{{"images":[{{"url":["$scheme://$http_host/images/$request_id.jpg"],\
"expires_at":4102444800}}]}}}}}}';
    }}
    location /images/ {{
      root {folder};
      try_files /result.jpg =404;
    }}
  }}
}}
"""
_SECONDS_TO_START = 10


class Missing(Exception):
    """A program that a benchmark needs is not installed."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where the stand-in answers. `certificate` is what its https address is trusted by."""

    plain: str
    secure: str
    certificate: Path
    image: bytes


def program(name: str, package: str) -> str:
    """Return the path of a program. Raises `Missing`, with the command that installs it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise Missing(f"{name} is not installed. On Debian:\n  sudo apt-get install {package}")
    return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[StandIn]:
    """Serve from `folder`, an empty one, for as long as the block lasts. Raises `Missing`."""
    nginx, openssl = program("nginx", "nginx-light"), program("openssl", "openssl")
    folder.chmod(0o755)  # the worker reads the image as itself
    picture(folder / "result.jpg")
    _certify(openssl, folder)
    plain, secure = _free_ports(2)
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        _CONFIG.format(folder=folder, plain=plain, secure=secure, user=user), encoding="utf-8"
    )
    log = folder / "error.log"
    command = [nginx, "-e", str(log), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(plain, process, log)
            yield StandIn(
                plain=f"http://127.0.0.1:{plain}",
                secure=f"https://127.0.0.1:{secure}",
                certificate=folder / "certificate.pem",
                image=(folder / "result.jpg").read_bytes(),
            )
        finally:
            process.terminate()


def picture(file: Path) -> None:
    """Draw a JPEG of 1024 × 1024 pixels and about 135 KB, near the model's real ones."""
    grain = Image.effect_noise((1024, 1024), 36).filter(ImageFilter.GaussianBlur(0.8))
    slope = Image.linear_gradient("L").resize((1024, 1024))
    Image.merge("RGB", (grain, slope, slope.rotate(90))).save(file, "JPEG", quality=80)


def _certify(openssl: str, folder: Path) -> None:
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "7", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",  # no strict client takes another
            "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; nginx cannot choose one by itself."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = log.read_text(errors="replace") if log.exists() else "no reason was given"
    raise RuntimeError(f"nginx did not start: {said}")
