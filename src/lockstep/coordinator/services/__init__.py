"""What every face calls: commands that change things, queries that show them, and who may do either."""
