"""Text to `Spec`: readers, schema, whole-spec checks."""
