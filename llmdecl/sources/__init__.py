"""Where weights and engines come from: one module a kind of source."""
