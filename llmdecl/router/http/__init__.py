"""HTTP/1.1 towards clients: strict parsing, answers of our own, the connection."""
