"""Dolmen beside its peers, as whole processes: `make bench` (as root) writes docs/benchmarks.md."""
