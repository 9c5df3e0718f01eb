"""The store: all that the coordinator remembers, behind the ports `Store` and `ReleaseStore`.

There are two of it, which keep the same promises and pass the same tests: `memory`, for the simulation, and `sql`,
whose statements suit SQLite and Postgres alike. What only SQLite needs (how it is opened, how a transaction begins,
what its errors mean, the proof that nobody else has the file) lives in `sqlite` and `alone` and nowhere else.

The store decides nothing about a release. It reads what a decision depends on, stores what the decision says, and
keeps beside it what can be derived but must be quick to read: counts of rows, and the newest release of each study.
It neither rings the engine's bell nor announces anything; whoever called it does, once the commit is made.
"""
