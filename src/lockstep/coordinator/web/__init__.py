"""The faces over HTTP."""
