"""Where engines come from: a file and a row of `table.PROVIDERS` for each `provider`."""
