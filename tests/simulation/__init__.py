"""The real core, engine and store logic under a seed: clock, network and crashes are simulated, nothing else is.

One seed makes one world: some task services with manners of their own, one or two coordinators, a few people who
create, publish and cancel releases, and a network that loses, delays, doubles and re-orders. A safety phase runs with
all of that going wrong, and every rule that must never be broken is checked after every commit and before every
send. Then the faults stop, and every release must settle within a bound. `python -m tests.simulation --seeds 100000`.
"""
