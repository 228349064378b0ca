"""nginx and Varnish as they are set up in ``deploy/front``, on ports of one's choosing."""

import os
import shutil
import socket
from pathlib import Path

from deploy.layout import HOST, ROOT
from deploy.processes import Part
from kvsync.errors import InputError

FRONT = ROOT / "deploy" / "front"
_EDGE, _LISTEN = "127.0.0.1:8080", "127.0.0.1:8000"
_VCL_PORT = '.port = "8080"'


def nginx(folder: Path, port: int, edge_port: int, workers: int = 1) -> Part:
    """nginx with its cache in ``folder/cache``, run as whoever runs this."""
    text = (FRONT / "nginx.conf").read_text()
    text = text.replace(_EDGE, f"{HOST}:{edge_port}").replace(_LISTEN, f"{HOST}:{port}")
    text = text.replace("worker_processes auto;", f"worker_processes {workers};")
    return nginx_of(text, folder, port)


def nginx_of(text: str, folder: Path, port: int) -> Part:
    """nginx with a configuration that listens on ``port``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    # Started by root, its workers would be somebody else, whom a private folder keeps out.
    command = [program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    return Part(
        "nginx",
        [*command, "-g", "daemon off; user root;" if _is_root() else "daemon off;"],
        {},
        lambda: accepts(port),
        f"http://{HOST}:{port}",
    )


def varnish(folder: Path, port: int, edge_port: int, bytes_kept: int = 1 << 28) -> Part:
    text = (FRONT / "default.vcl").read_text().replace(_VCL_PORT, f'.port = "{edge_port}"')
    return varnish_of(text, folder, port, bytes_kept)


def varnish_of(text: str, folder: Path, port: int, bytes_kept: int = 1 << 28) -> Part:
    """Varnish with a VCL program, keeping its responses in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    vcl = folder / "default.vcl"
    vcl.write_text(text)
    # In its jail the compiler would be somebody else, whom a private folder keeps out.
    command = [program("varnishd"), "-j", "none", "-F", "-a", f"{HOST}:{port}", "-f", str(vcl)]
    return Part(
        "varnish",
        [*command, "-n", str(folder / "work"), "-s", f"malloc,{bytes_kept}", "-T", "none"],
        {},
        lambda: accepts(port),
        f"http://{HOST}:{port}",
    )


def program(name: str) -> str:
    """Where a program is; :class:`InputError` when it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise InputError(f"{name} is not installed: apt-get install nginx-light varnish wrk")
    return found


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _is_root() -> bool:
    return os.geteuid() == 0
