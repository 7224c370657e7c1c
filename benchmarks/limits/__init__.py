"""Clients against servers that limit in six ways, alone and beside a rival, in virtual time."""
