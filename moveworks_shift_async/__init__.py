"""Async client for the Moveworks API and the SHIFT messages API."""
