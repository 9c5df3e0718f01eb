"""Release reports: a task service that counts what a release holds, for the person who decides whether to publish it.

* `counting`: what a count is, known or unknown, and what counts add up to; pure;
* `report`: the rows of a report;
* `sources`, `fhir`: where counts come from, behind a port;
* `store`, `sqlite_store`, `dynamodb`: where reports are kept, behind a port;
* `life`: what happens on start, publish and cancel;
* `api`, `shapes`, `accept`: the addresses at which reports are read, and in which form;
* `diff`, `baseline`, `diff_texts`: what changes with a release, against what is public or another release;
* `service`: all of it put together;
* `settings`, `deployment`: the same from the environment, for the command line.
"""
