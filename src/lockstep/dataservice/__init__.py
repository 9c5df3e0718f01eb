"""The data service of the Kids First family: its entities, a client of it, and a sample of it with real studies.

* `entities`: the 23 lists that a data service offers, and how their ids begin;
* `client`: reads studies, counts and rows from any data service over HTTP;
* `catalogue`: the published facts about real studies that this package carries;
* `listing`: what a list answers, worked out without any network;
* `sample`: a data service over those facts, for the demo and for tests.

Nothing in here writes to a data service, and no figure in here is made up: what nobody has published is unknown.
"""
