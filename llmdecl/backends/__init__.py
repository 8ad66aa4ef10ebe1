"""ggml's backends as data: what the rest of the house has to know of each."""
