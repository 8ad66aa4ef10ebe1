"""Serving programs: settings become arguments, checked against their own flag table. Pure."""
