"""A plan becomes artefacts: one module a target. Pure."""
