"""llama.cpp: how its settings become a command line."""
