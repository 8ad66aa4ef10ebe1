"""NixOS' `switch-to-configuration`, as far as units of ours go: what it decides from two sets of
units, after its own description (nixpkgs, `nixos/doc/manual/development/unit-handling.section.md`)
and what it was read to do. Own code.

Units are compared by what they say, drop-ins included, never by where they lie.
"""

from dataclasses import dataclass, field

YES = ("1", "yes", "true", "on")
UNSEEN = ("X-Reload-Triggers",)


@dataclass
class Actions:
    """By verb, in the order in which they are carried out; `skip` is what is left running."""

    stop: set[str] = field(default_factory=set)
    reload: set[str] = field(default_factory=set)
    restart: set[str] = field(default_factory=set)
    start: set[str] = field(default_factory=set)
    skip: set[str] = field(default_factory=set)


def parsed(units, name):
    """Sections of a unit and its drop-ins: keys with all their values."""
    sections = {}
    texts = [units[name]] + [units[key] for key in sorted(units) if key.startswith(f"{name}.d/")]
    for text in texts:
        section = None
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif "=" in line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                sections.setdefault(section, {}).setdefault(key.strip(), []).append(value.strip())
    return sections


def flag(unit, section, key, default):
    """A boolean of a unit."""
    return (unit.get(section, {}).get(key) or [default])[-1] in YES


def decide(old, new, active):
    """What a switch from the units `old` to `new` does, with the units `active` running.

    Both are texts by name; drop-ins are `NAME.d/FILE`.
    """
    actions = Actions()
    for name in sorted(active):
        if name not in new:
            if name in old and flag(parsed(old, name), "Unit", "X-StopOnRemoval", "yes"):
                actions.stop.add(name)
            continue
        unit = parsed(new, name)
        if name.endswith(".target"):
            # a target that is on is started again, which starts what it wants and is off
            if not flag(unit, "Unit", "RefuseManualStart", "no"):
                actions.start.add(name)
            continue
        before, after = parsed(old, name), parsed(new, name)
        if before == after or name.endswith((".slice", ".socket", ".path")):
            continue
        if _without(before) == _without(after) or flag(unit, "Service", "X-ReloadIfChanged", "no"):
            actions.reload.add(name)
        elif not flag(unit, "Service", "X-RestartIfChanged", "yes"):
            actions.skip.add(name)
        elif not flag(unit, "Service", "X-StopIfChanged", "yes"):
            actions.restart.add(name)
        else:
            actions.stop.add(name)
            # behind sockets: they are stopped too, and started in its place
            words = " ".join(unit.get("Service", {}).get("Sockets", [])).split()
            sockets = set(words or [f"{name.rpartition('.')[0]}.socket"]) & active
            actions.stop |= sockets
            actions.start |= sockets & new.keys() or {name}
    return actions


def _without(sections):
    return {
        section: {key: value for key, value in keys.items() if key not in UNSEEN}
        for section, keys in sections.items()
    }
