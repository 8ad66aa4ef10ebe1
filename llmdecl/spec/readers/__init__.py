"""Bytes to plain trees, one module a language; `readers.table` knows them by suffix."""
