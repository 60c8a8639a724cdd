"""Benchmarks that others can run. See README.md in this folder."""
