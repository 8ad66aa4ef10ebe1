"""Spec, facts and lock become a plan: everything decided, with a reason. Pure."""
