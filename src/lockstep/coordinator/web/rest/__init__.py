"""The REST face: paths, shapes and texts that clients in the field know."""
