"""The whole stack as local processes: what `docker compose` starts, where there is no Docker.

`lockstep stack` is built from here, and so are the tests of the stack. The engines, Postgres and Valkey, come with two
PyPI packages of the development group; nothing has to be installed on the machine.
"""
