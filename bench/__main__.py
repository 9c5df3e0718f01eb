"""`python -m bench`: measure, print, and with `--write` put the figures into the documentation."""

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench import history, phases, reports
from bench.processes import coordinator, data_service

IDLE_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    parser.add_argument("--services", type=int, nargs="*", default=[1, 10, 100, 1000], help="how many task services")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, data_service(Path(folder)) as url:
        parts = []
        for part in (
            head,
            lambda: steps(asked.services, url),
            lambda: at_once(url),
            lambda: history.section(url),
            lambda: footprint(url),
            reports.section,
        ):
            parts.append(part())
            print(parts[-1], end="\n\n", flush=True)
    page = "\n\n".join(parts) + "\n"
    if asked.write:
        asked.write.write_text(page)


def head() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        "# Benchmarks\n\n"
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({platform.machine()}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}, SQLite, everything on one machine over loopback. "
        "Times are the best of five rounds; a ratio compares two figures of the same run."
    )


def steps(numbers: list[int], url: str) -> str:
    explained = (
        "Task services that answer at once. *Staged* is the time from `POST /releases` until the release is staged, "
        "*published* from the request to publish until it is public. The *bound* is what the same requests to the same "
        "services take by the same client without a coordinator.\n"
    )
    lines = [
        "## The steps of a release\n",
        explained,
        "| services | staged | bound | ratio | published | bound | ratio |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for number in numbers:
        took = phases.measure(number, url)
        lines.append(
            f"| {number:,} | {_ms(took.stage_s)} | {_ms(took.stage_bound_s)} | {took.stage_s / took.stage_bound_s:.2f} "
            f"| {_ms(took.publish_s)} | {_ms(took.publish_bound_s)} | {took.publish_s / took.publish_bound_s:.2f} |"
        )
    return "\n".join(lines)


def at_once(url: str) -> str:
    seconds = phases.measure_many(50, 5, url)
    return (
        "## Many releases at once\n\n"
        f"50 releases created one after another over the same 5 services: all staged {seconds:.2f} s after the first "
        f"`POST /releases`, {50 / seconds:.0f} releases per second."
    )


def footprint(url: str) -> str:
    with TemporaryDirectory() as folder:
        with coordinator(Path(folder), url) as served:
            pass
        with coordinator(Path(folder), url) as served:
            process = psutil.Process(served.pid)
            time.sleep(3)
            before = process.cpu_times()
            time.sleep(IDLE_S)
            after = process.cpu_times()
            busy = after.user + after.system - before.user - before.system
            memory = process.memory_info().rss / 2**20
            return (
                "## At rest\n\n"
                f"From `lockstep serve` to its first answer: {served.first_answer_s:.2f} s. Resident memory when idle: "
                f"{memory:.0f} MB. CPU when idle: {100 * busy / IDLE_S:.2f} % of one core over {IDLE_S:g} s."
            )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


if __name__ == "__main__":
    main()
