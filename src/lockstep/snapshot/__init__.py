"""Snapshots: a task service that keeps the records of each released study as they were in the data service.

* `folders`: where snapshots lie while they are made and when they are public, and how they get from one to the other;
* `life`: what happens on start, publish and cancel;
* `service`: all of it put together, and `run`.
"""
