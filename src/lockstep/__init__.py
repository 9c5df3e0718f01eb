"""Lockstep brings the services of a data commons in step: staged, reviewed and published together."""

from importlib.metadata import version

__version__ = version("lockstep")
