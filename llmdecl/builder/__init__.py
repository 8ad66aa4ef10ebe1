"""Building engines of source, at one fixed path, so that equal recipes give equal files."""
