"""Measurements that others can repeat: `make bench`, or one with `python -m benchmarks.NAME`."""
