"""One file an architecture, named as in llama.cpp's src/models."""
