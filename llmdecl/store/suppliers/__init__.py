"""Supplying weights: one module a kind of source, each with `pin`, `bring` and `holds`."""
