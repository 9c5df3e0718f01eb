"""The steps from an empty database to the current schema; each says which it follows and is never edited again."""
