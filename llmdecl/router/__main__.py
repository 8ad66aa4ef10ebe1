"""`python -m llmdecl.router`."""

import sys

from llmdecl.router.app import main

sys.exit(main())
