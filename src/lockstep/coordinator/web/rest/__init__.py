"""The REST face: one module for each collection, each with the table of its operations."""
