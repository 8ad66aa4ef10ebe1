"""Packages of Nix: its programs, and what their failures mean."""
