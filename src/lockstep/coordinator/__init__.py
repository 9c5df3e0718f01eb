"""The coordinator: takes a release through its three steps on every task service.

`core` decides, `engine` acts, `store` remembers, `services` is what every face calls, `web` is one of the faces, and
`bootstrap` joins them. Dependencies point one way; a linter in the tests checks it.
"""
