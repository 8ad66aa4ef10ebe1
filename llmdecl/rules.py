"""Every rule of every room, by code. Codes: LD1xx spec, LD2xx facts, LD3xx plan, LD4xx sources,
lock and store, LD5xx emit, LD6xx activate and router, LD7xx
building engines, LD9xx command line."""

from collections.abc import Mapping

from llmdecl.activate import rules as activate
from llmdecl.builder import rules as builder
from llmdecl.cli import rules as cli
from llmdecl.diagnostics import Rule, rule_table
from llmdecl.emit import rules as emit
from llmdecl.engines import rules as engines
from llmdecl.facts import rules as facts
from llmdecl.plan import rules as plan
from llmdecl.spec import rules as spec
from llmdecl.store import rules as store

RULES: Mapping[str, Rule] = rule_table(
    *spec.RULES,
    *facts.RULES,
    *plan.RULES,
    *store.RULES,
    *emit.RULES,
    *engines.RULES,
    *builder.RULES,
    *activate.RULES,
    *cli.RULES,
)
