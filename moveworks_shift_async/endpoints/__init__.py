"""Thin, one file per resource: build a request, call the session, read the answer."""
