"""Differences: each with its effect class, reason and consequence; nothing when nothing changed."""

import msgspec
import pytest

from llmdecl.activate.diff import diff
from llmdecl.activate.effects import EFFECTS, Effect
from llmdecl.activate.live import Live, LiveManager, LiveModel, LiveProgram, LiveRouter, version_of
from llmdecl.plan.model import Address, Budget, MemoryPart, SamplingPlan, WeightsPlan, Word

from .conftest import PORT, artefacts, model, setting, stack_plan


def version(plan, **options):
    return version_of(plan, artefacts(plan, **options))


def live(plan, *running, **changes):
    """The world as it is after `plan` was applied and `running` were started."""
    applied = version(plan)
    programs = [LiveProgram(name="router", state="RUNNING", pid=2, configured=None, running=None)]
    programs += [
        LiveProgram(
            name=f"model-{m.name}",
            state="RUNNING" if m.name in running else "STOPPED",
            pid=9 if m.name in running else None,
            configured=m.digest,
            running=m.digest if m.name in running else None,
        )
        for m in plan.models
    ]
    found = Live(
        manager=LiveManager(pid=1, programs=tuple(programs)),
        router=LiveRouter(
            pid=2, config_sha256=applied.files["router.json"], draining=False, models=()
        ),
        wanted=1,
        current=1,
    )
    return found.replace(**changes)


def told(old, new, world):
    changes = diff(version(old), version(new), world)
    return [
        (c.symbol.value, c.address, c.effect.value, c.reason, c.consequence)
        for c in changes.changes
    ]


RELOADS = "router reloads; no connection is dropped"
SMOL = stack_plan(model("smol"))


@pytest.mark.parametrize("kind", EFFECTS)
def test_every_field_of_the_plan_has_an_effect_class(kind):
    """A new field can't be forgotten."""
    fields = {field.name for field in msgspec.structs.fields(kind)}
    assert set(EFFECTS[kind]) == fields


def test_nothing_changed():
    """The same plan in the world that it was applied to has no changes."""
    changes = diff(version(SMOL), version(SMOL), live(SMOL, "smol"))
    assert not changes
    assert () == changes.restarts


def test_words_of_the_plan_are_no_change():
    """Reasons, names and versions in words have no effect."""
    (one,) = SMOL.models
    settings = tuple(s.replace(reason="otherwise worded") for s in one.settings)
    other = SMOL.replace(
        host="renamed", models=(one.replace(settings=settings, reasons={"ttl": "so"}),)
    )
    assert [] == told(SMOL, other, live(SMOL))


def test_ctx_size_of_a_running_model():
    """The flag that changed says so at the key that changes it; what follows from it is silent."""
    new = stack_plan(model("smol", ctx=8192, memory=(), parallel=1))
    world = live(SMOL, "smol")
    assert [
        ("~", "models.smol.ctx-size", "model", "ctx-size 4096 -> 8192",
         "restarts model smol after draining"),
    ] == told(SMOL, new, world)  # fmt: skip
    assert ("smol",) == diff(version(SMOL), version(new), world).restarts


def test_ctx_size_of_a_stopped_model():
    """Nothing restarts when nothing runs."""
    new = stack_plan(model("smol", ctx=8192))
    assert [
        ("~", "models.smol.ctx-size", "model", "ctx-size 4096 -> 8192",
         "model smol is not running; its next start has it"),
    ] == told(SMOL, new, live(SMOL))  # fmt: skip
    assert () == diff(version(SMOL), version(new), live(SMOL)).restarts


def test_flags_that_come_and_go():
    """A switch is on or unset; a setting decided by defaults names where."""
    old = stack_plan(model("smol", args=[("--mlock",)]))
    new = SMOL
    assert ["mlock on -> unset"] == [c[3] for c in told(old, new, live(old))]
    (one,) = new.models
    from_defaults = one.replace(
        settings=(*one.settings, setting("--threads", 2, address="defaults.threads")), digest="x"
    )
    assert [("~", "models.smol.threads", "model", "threads unset -> 2 (defaults.threads)")] == [
        c[:4] for c in told(new, stack_plan(from_defaults), live(new))
    ]


def test_router_fields_of_a_model():
    """Aliases, ttl, load, sampling and system prompt are the router's, and restart nothing."""
    new = stack_plan(
        model(
            "smol",
            aliases=("tiny",),
            ttl_s=None,
            load="startup",
            system_prompt="Be brief.",
            sampling=(SamplingPlan(key="top_p", value=0.9),),
        )
    )
    assert [
        ("~", "models.smol.sampling.top-p", "router", "top_p unset -> 0.9", RELOADS),
        ("~", "models.smol.aliases", "router", "aliases none -> tiny", RELOADS),
        ("~", "models.smol.ttl", "router", "ttl 10m -> never", RELOADS),
        ("~", "models.smol.load", "router", "load demand -> startup", RELOADS),
        ("~", "models.smol.system-prompt", "router",
         "system-prompt unset -> `Be brief.`", RELOADS),
    ] == told(SMOL, new, live(SMOL, "smol"))  # fmt: skip
    assert () == diff(version(SMOL), version(new), live(SMOL, "smol")).restarts


def test_memory_claims_alone_are_the_routers():
    """A better estimate of the same process restarts nothing."""
    part = MemoryPart(pool="host", part="weights", bytes=200 << 20, exact=True)
    new = stack_plan(model("smol", memory=(part,)))
    assert [
        ("~", "models.smol.memory", "router", "memory 100.0 MiB -> 200.0 MiB", RELOADS)
    ] == told(SMOL, new, live(SMOL, "smol"))


def test_environment():
    """Each variable by itself."""
    new = stack_plan(model("smol", environment=(("A", "1"),)))
    assert [("models.smol.environment.A", "model", "A unset -> 1")] == [
        c[1:4] for c in told(SMOL, new, live(SMOL))
    ]


def weights(digest, source="pypi:a", size=64 << 20):
    return WeightsPlan(role="model", source=source, digest=digest * 64, size_bytes=size)


def test_weights_that_have_to_come_first():
    """Other weights say what is downloaded; the same from another source are nothing."""
    old = stack_plan(model("smol", weights=(weights("a"),)))
    new = stack_plan(model("smol", weights=(weights("b"),), digest="other"))
    world = live(old, "smol", absent=("weights/" + "b" * 64,))
    assert [
        ("~", "models.smol.source", "fetch",
         "pypi:a (aaaaaaaaaaaa) -> pypi:a (bbbbbbbbbbbb)",
         "downloads 64.0 MiB, then restarts model smol after draining"),
    ] == told(old, new, world)  # fmt: skip
    local = stack_plan(model("smol", weights=(weights("b", "file:b.gguf"),), digest="other"))
    assert ["links its file, then restarts model smol after draining"] == [
        change[4] for change in told(old, local, world)
    ]
    moved = stack_plan(model("smol", weights=(weights("a", "file:b.gguf"),)))
    assert [] == told(old, moved, live(old))


def test_a_new_engine_restarts_its_models():
    """The engine's line has the version and who restarts; each model says so too."""
    old = stack_plan(model("smol", executable=Word(text="/e/1")))
    old = old.replace(engines=(old.engines[0].replace(executable=Word(text="/e/1")),))
    engine = old.engines[0].replace(version="2", digest="f" * 64, executable=Word(text="/e/2"))
    new = stack_plan(model("smol", executable=Word(text="/e/2"), digest="d2"), engines=(engine,))
    assert [
        ("~", "engines.fake", "engine", "version 1 -> 2",
         "restarts smol one after another, after draining"),
        ("~", "models.smol.engine", "engine", "engine /e/1 -> /e/2",
         "restarts model smol after draining"),
    ] == told(old, new, live(old, "smol"))  # fmt: skip


def test_models_and_endpoints_come_and_go():
    """Additions and removals, and an endpoint that follows."""
    old, new = stack_plan(model("old")), stack_plan(model("new", load="startup"))
    assert [
        ("+", "models.new", "model", "chat, ctx-size 4096, 100.0 MiB", "starts now"),
        ("-", "models.old", "model", "no longer in the spec", "drains and stops old"),
        ("~", "endpoints.main.models", "router", "models old -> new", RELOADS),
    ] == told(old, new, live(old, "old"))
    assert ("old",) == diff(version(old), version(new), live(old, "old")).restarts


def test_addresses_quote_names_as_toml_does():
    """A model's name with a dot is quoted in its address, as in every diagnostic."""
    old = stack_plan(model("qwen2.5"))
    new = old.replace(models=(old.models[0].replace(aliases=("q",)),))
    assert 'models."qwen2.5".aliases' in {change[1] for change in told(old, new, live(old))}


def test_endpoints_router_and_budget():
    """Their fields by name, in people's units."""
    endpoint = SMOL.endpoints[0].replace(
        listen=Address(path="/run/x.sock"), api_keys_file="/run/keys"
    )
    new = SMOL.replace(
        endpoints=(endpoint, endpoint.replace(name="second", listen=Address(host="::1", port=8))),
        router=SMOL.router.replace(drain_timeout_s=90.0),
        budgets=(Budget(pool="host", total_bytes=8 << 30, margin_bytes=1 << 30),),
    )
    assert [
        ("~", "endpoints.main.listen", "router",
         f"listen 127.0.0.1:{PORT} -> unix:/run/x.sock", RELOADS),
        ("~", "endpoints.main.api-keys-file", "router",
         "api-keys-file unset -> /run/keys", RELOADS),
        ("+", "endpoints.second", "router", "serves smol", "router opens [::1]:8"),
        ("~", "router.drain-timeout", "router", "drain-timeout 2s -> 1m30s", RELOADS),
        ("~", "host.ram", "router", "budget of host 3.0 GiB -> 7.0 GiB", RELOADS),
    ] == told(SMOL, new, live(SMOL))  # fmt: skip


def test_what_a_router_under_systemd_can_not_reload():
    """Keys come with its unit's credentials, and other addresses with other rights: that restarts
    it, and is said so. Another port of loopback does not."""
    plan = SMOL.replace(manager="systemd")
    (main,) = plan.endpoints

    def consequence(**changes):
        other = plan.replace(endpoints=(main.replace(**changes),))
        (change,) = diff(version(plan), version(other), live(plan)).changes
        return change.consequence

    assert RELOADS == consequence(listen=main.listen.replace(port=1))
    for changes in ({"api_keys_file": "/k"}, {"listen": main.listen.replace(host="0.0.0.0")}):
        assert "router restarts after draining" == consequence(**changes)


def test_a_smaller_budget_unloads():
    """What does not fit any more has to go, and the plan says so."""
    new = SMOL.replace(budgets=(Budget(pool="host", total_bytes=2 << 30, margin_bytes=1 << 30),))
    assert [
        ("~", "host.ram", "router", "budget of host 3.0 GiB -> 1.0 GiB",
         f"{RELOADS}; models that no longer fit are unloaded, least recently used first"),
    ] == told(SMOL, new, live(SMOL))  # fmt: skip


def test_drift_of_a_stopped_model_restarts_nothing():
    """After an apply that was killed, only what runs is said to restart."""
    world = live(SMOL, manager=LiveManager(pid=1, programs=(ROUTER, program(
        state="STOPPED", pid=None, configured="1" * 64, running=None))))  # fmt: skip
    (change,) = told(SMOL, SMOL, world)
    assert change[4] == "supervisord reads it anew; model smol is not running"


def test_the_first_apply():
    """Everything is added."""
    changes = diff(None, version(SMOL), Live(manager=None, router=None, wanted=None, current=None))
    assert [
        ("+", "models.smol"),
        ("+", "endpoints.main"),
        ("+", "supervisord"),
    ] == [(c.symbol.value, c.address) for c in changes.changes]
    assert Effect.STACK is changes.worst()


def test_text_that_another_llmdecl_wrote():
    """Artefacts that differ under an equal plan are applied too, at their price."""
    changes = diff(version(SMOL), version(SMOL, router_note=True), live(SMOL))
    assert [("~", "router", "router restarts after draining")] == [
        (c.symbol.value, c.address, c.consequence) for c in changes.changes
    ]
    old, new = version(SMOL), version(SMOL)
    new.files["supervisord/models/smol.conf"] = "0"
    changes = diff(old, new, live(SMOL, "smol"))
    assert ["models.smol"] == [c.address for c in changes.changes]
    assert ("smol",) == changes.restarts
    new = version(SMOL)
    new.files["supervisord/supervisord.conf"] = "0"
    assert Effect.STACK is diff(old, new, live(SMOL, "smol")).worst()


def program(**changes):
    base = LiveProgram(
        name="model-smol", state="RUNNING", pid=9,
        configured=SMOL.models[0].digest, running=SMOL.models[0].digest,
    )  # fmt: skip
    return base.replace(**changes)


ROUTER = LiveProgram(name="router", state="RUNNING", pid=2, configured=None, running=None)


@pytest.mark.parametrize(
    ("world", "address", "reason"),
    [
        ({"manager": None}, "supervisord", "supervisord is not running"),
        (
            {"manager": LiveManager(pid=1, programs=(), differs=("LLMDECL_STORE",))},
            "supervisord",
            "runs with another LLMDECL_STORE",
        ),
        (
            {"manager": LiveManager(pid=1, programs=(ROUTER,))},
            "models.smol",
            "supervisord does not know it",
        ),
        (
            {"manager": LiveManager(pid=1, programs=(program(),))},
            "router",
            "supervisord does not know it",
        ),
        (
            {"manager": LiveManager(pid=1, programs=(ROUTER, program(), program(name="model-x")))},
            "models.x",
            "supervisord runs it, the plan does not",
        ),
        (
            {"manager": LiveManager(pid=1, programs=(ROUTER, program(running="0" * 64)))},
            "models.smol",
            f"PID 9 has digest 000000000000, applied is {SMOL.models[0].digest[:12]}",
        ),
        (
            {"manager": LiveManager(pid=1, programs=(ROUTER, program(configured="1" * 64)))},
            "models.smol",
            f"supervisord has digest 111111111111, applied is {SMOL.models[0].digest[:12]}",
        ),
        ({"router": None}, "router", "does not answer"),
        (
            {"router": LiveRouter(pid=2, config_sha256="0", draining=False, models=())},
            "router",
            "runs another configuration",
        ),
        ({"wanted": 2}, "state", "`wanted` is 2, `current` is 1"),
        ({"interrupted": "wanted"}, "state", "a change was interrupted after `wanted`"),
        (
            {"damaged": ("plan.json",)},
            "state",
            "`plan.json` of generation 1 is not what was written",
        ),
        ({"orphans": (7, 8)}, "processes", "nobody owns PID 7, 8"),
    ],
)  # fmt: skip
def test_drift(world, address, reason):
    """What is not as it was applied is a change, although the plan is the same."""
    changes = diff(version(SMOL), version(SMOL), live(SMOL, **world))
    assert [("!", address, reason)] == [
        (c.symbol.value, c.address, c.reason) for c in changes.changes
    ]


def test_a_held_model_is_drift():
    """Nobody holds a model back while no change is under way."""
    router = live(SMOL).router
    held = LiveModel(name="smol", state="held", pid=None, digest=None)
    changes = diff(version(SMOL), version(SMOL), live(SMOL, router=router.replace(models=(held,))))
    assert ["models.smol"] == [c.address for c in changes.changes]


def test_weights_gone_from_the_store_are_drift():
    """What an applied stack reads and is gone is fetched again."""
    plan = stack_plan(model("smol", weights=(weights("a"),)))
    path = "weights/" + "a" * 64
    changes = diff(version(plan), version(plan), live(plan, absent=(path,)))
    assert [("!", path)] == [(c.symbol.value, c.address) for c in changes.changes]
    assert Effect.FETCH is changes.worst()
    assert [change.consequence for change in changes.changes] == ["downloads it"]
    plan = stack_plan(model("smol", weights=(weights("a", source="file:a.gguf"),)))
    (change,) = told(plan, plan, live(plan, absent=(path,)))
    assert change[4] == "links its file"
