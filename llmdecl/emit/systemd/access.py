"""The account of the system's stack, and what its router may ask of systemd."""

import json

from llmdecl.emit.systemd import names
from llmdecl.plan.model import Plan

VERBS = ("start", "stop", "restart")

RULE = """\
// llmdecl: its router may start, stop and restart these units, and nothing else.
polkit.addRule(function (action, subject) {{
  var units = {units};
  var verbs = {verbs};
  if (action.id === "org.freedesktop.systemd1.manage-units" && subject.user === {account} &&
      units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0) {{
    return polkit.Result.YES;
  }}
}});
"""


def polkit(plan: Plan) -> str:
    """A rule that lists exact units: transient ones have other verbs, and patterns would let in
    names that nobody has yet."""
    return RULE.format(
        units=json.dumps([names.of_model(model.name) for model in plan.models]),
        verbs=json.dumps(VERBS),
        account=json.dumps(names.ACCOUNT),
    )


def sysusers() -> str:
    """sysusers.d(5): the account, which owns the state folder."""
    return f'u {names.ACCOUNT} - "llmdecl" /var/lib/llmdecl -\n'
