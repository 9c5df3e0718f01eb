"""What the coordinator and a task service say to each other: states, messages, ids.

Both ends of the wire import this package and nothing of each other. It uses the standard library only, does no
input or output, and holds the rules of the wire as data:

* `states`: the states of tasks and releases and the moves between them;
* `messages`: the five actions, and what an answer to one can be;
* `wire`: the only place where JSON becomes a message and a message becomes JSON;
* `ids`: the identifiers of the Kids First family;
* `errors`: what is raised for a message that breaks the rules.
"""
