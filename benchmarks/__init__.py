"""Benchmarks of the package against what people write by hand; each prints one table."""
