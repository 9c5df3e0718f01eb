"""`python -m lockstep.coordinator.web.graphql.sdl`: writes down the schema, as `docs/schema.graphql` has it."""

import sys

from lockstep.coordinator.web.graphql.schema import schema


def sdl() -> str:
    """Return the schema in GraphQL's own language."""
    return f"{schema().as_str().strip()}\n"


if __name__ == "__main__":
    sys.stdout.write(sdl())
