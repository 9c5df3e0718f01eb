"""Release reports: a task service that counts what a release holds, for the person who decides whether to publish it.

* `counting`: what a count is, known or unknown, and what counts add up to; pure;
* `report`: the rows of a report;
* `sources`: where counts come from, behind a port; so far, a data service;
* `store`, `sqlite_store`: where reports are kept, behind a port;
* `life`: what happens on start, publish and cancel;
* `api`: the addresses at which reports are read;
* `service`: all of it put together, and `run`.
"""
