"""`python -m tests.simulation --seeds 100000`: run many seeds on all cores and say what was seen."""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.runs import Outcome, run_seeds

CHUNK = 250


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes to run them in")
    asked = parser.parse_args()
    began = time.monotonic()
    chunks = [
        range(at, min(at + CHUNK, asked.first + asked.seeds))
        for at in range(asked.first, asked.first + asked.seeds, CHUNK)
    ]
    total = Outcome()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for done, outcome in enumerate(pool.map(run_seeds, chunks), start=1):
            total = total + outcome
            if outcome.failures:
                print(outcome.failures[0])
                return 1
            if done % 20 == 0 or done == len(chunks):
                print(f"{total.seeds} seeds, {total.commits} commits, {total.sends} sends", flush=True)
    shown = ", ".join(f"{number} × {what}" for what, number in sorted(Counter(total.seen).items()))
    print(f"{total.seeds} seeds passed in {time.monotonic() - began:.0f} s: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
