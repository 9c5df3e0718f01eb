"""What Lockstep costs, measured on the machine at hand: `make bench` writes `docs/benchmarks.md`.

Every figure that is compared with another was taken in the same run. Times of releases stand beside their lower
bound: the same requests to the same services by the same client, with no coordinator.
"""
