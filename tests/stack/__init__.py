"""The stack as real processes, and what is said and done about it."""
