"""What the pinned llama.cpp will allocate, part by part, from a GGUF header alone. Pure."""
