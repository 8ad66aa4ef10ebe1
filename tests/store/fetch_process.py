"""A process that fetches: `fetch_process.py ROOT SPEC.json LOCK.json [real]`; 130 when interrupted.

`real`: with the facts room's own tools.
"""

import sys
from pathlib import Path

from supply_kit import TOOLS, folders

from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.store.supply import fetch_stack
from llmdecl.values import from_json

root, spec, lock = map(Path, sys.argv[1:4])
try:
    problems = fetch_stack(
        Spec.model_validate_json(spec.read_bytes()),
        from_json(lock.read_bytes(), Lock),
        root,
        folders(root),
        tools=None if sys.argv[4:] else TOOLS,
    )
except KeyboardInterrupt:
    sys.exit(130)
print(problems)
sys.exit(1 if problems else 0)
