"""Content-addressed files, weights and engines, and the lock that names them."""
