"""Checks: one module a subject, each a pure function; `llmdecl.plan.checks.table` lists them."""
