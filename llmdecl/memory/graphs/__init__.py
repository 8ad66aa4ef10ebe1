"""llama.cpp's graphs by architecture, and what they are built of."""
