"""What the coordinator remembers, on SQLite and in memory."""
