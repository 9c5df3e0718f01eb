"""GraphQL at `/graphql`, as the clients in the field know it: the same names, ids, cursors and sentences.

`endpoint` is the way in over HTTP and the only module that is imported at the start; the rest stands on strawberry,
which takes a third of a second to import, and is loaded when somebody asks for the first time. `schema` is what can be
asked for: `nodes` are the things and the lists that lead from one to the next, `filters` and `connections` what those
lists take and give, `queries` and `mutations` the two roots. A request is answered by one `Visit`, through which
everything is read in batches and every permission is asked. `limits` refuses what would be too much, `mistakes` says
what a client is told when something goes wrong.

Nothing is decided here: commands do what is to be done, and `services/access` says who may.
"""
