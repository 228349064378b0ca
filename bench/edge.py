"""A cache hit beside nginx and Varnish, in requests per second of the server's own CPU time.

One 50 KB object, asked for as a browser does, by the same load generator on the same cores, one
worker process each, in turns. CPU time is user and system of all of a server's processes. The
peers run as they come with a cache before a stub; "nginx in front" is ``deploy/front/nginx.conf``
before our edge.
"""

import asyncio
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench._pop import Pop, cpu_seconds, running_pop
from deploy.fronts import nginx, nginx_of, program, varnish_of
from deploy.layout import free_ports
from deploy.processes import Running
from kvsync.errors import RehydrationError

PATH = "/rumba/red-white.jpg"
# As Chrome asks for an image of a page.
BROWSER = {
    "Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9",
    "Referer": "http://localhost/products/rumba",
    "Sec-Fetch-Dest": "image",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36",
}
CONNECTIONS = 32
_DONE = re.compile(r"(\d+) requests in")

NGINX = """
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log access.log combined buffer=64k flush=1s;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path body; proxy_temp_path temp; fastcgi_temp_path unused;
    uwsgi_temp_path unused; scgi_temp_path unused;
    proxy_cache_path cache levels=1:2 keys_zone=images:10m max_size=1g;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{stub};
            proxy_cache images;
            add_header Cache-Status $upstream_cache_status;
        }}
    }}
}}
"""
VARNISH = """
vcl 4.1;
backend stub {{ .host = "127.0.0.1"; .port = "{stub}"; }}
"""


@dataclass
class Contestant:
    """A server, and what it did in each round: requests a second, requests per CPU second."""

    name: str
    port: int
    running: Running
    rates: list[float] = field(default_factory=list)
    per_cpu_s: list[float] = field(default_factory=list)


def run(
    full: bool = False,
    rounds: Annotated[int, typer.Option(help="Of 3 seconds for each server.")] = 5,
    bare: Annotated[bool, typer.Option(help="Ask with no fields but Host.")] = False,
) -> dict[str, object]:
    """Measure; with `full` twice the rounds."""
    fields = {} if bare else BROWSER
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_measure(Path(folder), fields, rounds * (1 + full)))
    table = Table("server", "requests/s", "per CPU second", "ratio to ours", title="50 KB hits")
    ours = median(found["edge"].per_cpu_s)
    for one in found.values():
        per_cpu_s = median(one.per_cpu_s)
        table.add_row(
            one.name, f"{median(one.rates):.0f}", f"{per_cpu_s:.0f}", f"{ours / per_cpu_s:.2f}"
        )
    Console().print(table)
    return {f"hit_vs_{peer}": _ratio(found["edge"], found[peer]) for peer in ("varnish", "nginx")}


def _ratio(ours: Contestant, peer: Contestant) -> float:
    """Median over rounds of neighbours in time: what else the machine does weighs on both."""
    pairs = zip(ours.per_cpu_s, peer.per_cpu_s, strict=True)
    return round(median(mine / theirs for mine, theirs in pairs), 2)


async def _measure(folder: Path, fields: dict[str, str], rounds: int) -> dict[str, Contestant]:
    log = folder / "access.jsonl"
    async with running_pop(folder, access_log=log, nginx_cache_dir=folder / "front/cache") as pop:
        await pop.publish([PATH])
        contestants = await _contestants(pop, folder)
        for one in contestants.values():
            _load(one, fields, seconds=1)  # the first request fetches, the next fill what is lazy
        for _ in range(rounds):
            for one in contestants.values():
                rate, per_cpu_s = _load(one, fields, seconds=3)
                one.rates.append(rate)
                one.per_cpu_s.append(per_cpu_s)
        return contestants


async def _contestants(pop: Pop, folder: Path) -> dict[str, Contestant]:
    ports = free_ports(3)
    stub = pop.stub_port
    parts = {
        "varnish": varnish_of(VARNISH.format(stub=stub), folder / "varnish", ports[0]),
        "nginx": nginx_of(NGINX.format(stub=stub, port=ports[1]), folder / "nginx", ports[1]),
        "nginx in front": nginx(folder / "front", ports[2], pop.port),
    }
    found = {"edge": Contestant("edge", pop.port, pop.parts["edge"])}
    for (name, part), port in zip(parts.items(), ports, strict=True):
        found[name] = Contestant(name, port, await pop.start(part))
    return found


def _load(one: Contestant, fields: dict[str, str], seconds: int) -> tuple[float, float]:
    """Requests a second, and per second of the server's CPU time."""
    headers = [part for pair in fields.items() for part in ("-H", ": ".join(pair))]
    url = f"http://localhost:{one.port}{PATH}"
    how = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s"]
    command = [program("wrk"), *how, *headers, url]
    before = cpu_seconds(one.running.process.pid)
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(one.running.process.pid) - before
    count = _DONE.search(done)
    if count is None or "Non-2xx" in done or "Socket errors" in done:
        raise RehydrationError(f"{one.name}: not every answer was a hit: {done}")
    return int(count[1]) / seconds, int(count[1]) / used


if __name__ == "__main__":
    typer.run(run)
