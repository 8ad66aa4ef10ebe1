"""What a client may take of the router. Bytes and seconds."""

HEAD_BYTES = 64 << 10
"""Request line and headers together; more is 431."""

HEADER_COUNT = 128

BODY_BYTES = 256 << 20
"""One request's body, base64 images included; more is 413."""

BUFFERED_BYTES = 1 << 30
"""All bodies that wait in the router at once; more is 503."""

FRAMING_BYTES = 64 << 10
"""What chunked framing (extensions, trailers) may cost beside sixteen times the body."""

PIPELINED_BYTES = 64 << 10
"""Unparsed bytes kept behind a request in progress before reading stops."""

REFUSED_BODY_BYTES = 64 << 10
"""A refused request's body is read up to this size to keep the connection."""

CONNECTIONS = 4096

HEAD_S = 30
"""From the first byte of a head to its end."""

BODY_STALL_S = 60
"""Between two pieces of a body."""

IDLE_S = 120
"""Kept alive without a request."""

WRITE_STALL_S = 300
"""A client that takes nothing of its answer for so long has left."""

LINGER_S = 2
"""After a last answer the client's bytes are read and dropped, so that it sees the answer."""
