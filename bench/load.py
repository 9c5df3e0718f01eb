"""Load on one address over kept connections: requests per second and the time of the slowest in a hundred."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to: requests per second, and median and 99th percentile of one request in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


def load(base_url: str, request: Callable[[int], tuple[str, str, bytes]], *, number: int, connections: int) -> Load:
    """Send `number` requests over some connections; `request(n)` gives the n-th: method, path, body.

    Raises:
        RuntimeError: an answer was not 200.
    """
    return asyncio.run(_load(base_url, request, number, connections))


async def _load(base_url: str, request: Callable[[int], tuple[str, str, bytes]], number: int, connections: int) -> Load:
    host, port = urlsplit(base_url).hostname or "", urlsplit(base_url).port or 80
    numbers = iter(range(number))
    times: list[float] = []

    async def keep_asking() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for n in numbers:
            method, path, body = request(n)
            began = time.perf_counter()
            writer.write(_encoded(method, path, host, port, body))
            await _read_answer(reader, path)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(keep_asking() for _ in range(connections)))
    elapsed = time.perf_counter() - began
    times.sort()
    return Load(number / elapsed, 1000 * times[len(times) // 2], 1000 * times[len(times) * 99 // 100])


def _encoded(method: str, path: str, host: str, port: int, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


async def _read_answer(reader: asyncio.StreamReader, path: str) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(f"{path} answered {head[:200]!r}")
    lines = (line.lower() for line in head.split(b"\r\n"))
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    await reader.readexactly(length)
