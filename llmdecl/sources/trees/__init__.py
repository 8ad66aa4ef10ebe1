"""llama.cpp's source: where a tree comes from, how an archive is opened, and what is in it."""
