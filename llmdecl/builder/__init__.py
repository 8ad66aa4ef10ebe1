"""Building engines of llama.cpp's source, at one fixed path, so that equal recipes give equal files."""
