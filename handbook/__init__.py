"""The documentation site: pages that are made from the code, and what MkDocs is told while it builds.

`python -m handbook` writes `docs/reference/` anew; a test compares it with what the code says now. Nothing here is part
of the package.
"""
