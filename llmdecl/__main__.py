"""`python -m llmdecl`."""

from llmdecl.cli import main

main()
