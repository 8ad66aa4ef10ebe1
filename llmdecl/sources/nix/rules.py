"""The problems of packages of Nix."""

from llmdecl.diagnostics import Rule, Severity

NIX_BAD_PACKAGE = Rule(
    "LD640",
    "nix-bad-package",
    Severity.ERROR,
    """The package is none that Nix could be asked for. It is a flake reference
(`nixpkgs#llama-cpp-vulkan`, `github:OWNER/REPO#NAME`, `.#NAME` for the spec's own folder), an
attribute of `<nixpkgs>` (`llama-cpp`), or a path in Nix's store.""",
)
NIX_MISSING = Rule(
    "LD641",
    "nix-missing",
    Severity.ERROR,
    """The engine is a package of Nix, and Nix is not on this machine. An engine that is locked, and
whose output lies in Nix's store, works without it. Other providers need no Nix: `pypi`, `path`
and `source`.""",
)
NIX_FLAKES_OFF = Rule(
    "LD642",
    "nix-flakes-off",
    Severity.ERROR,
    """This Nix refuses flakes, although llmdecl asks for them: it is older than 2.4, or somebody
forbade them. An attribute of `<nixpkgs>` or a path in Nix's store needs no flakes.""",
)
NIX_NOT_FOUND = Rule(
    "LD643",
    "nix-not-found",
    Severity.ERROR,
    """Nix knows no such package: the flake does not have it for this kind of machine, `<nixpkgs>`
is not on `NIX_PATH` or lacks the attribute, or the store path is neither here nor in any cache.
`nix flake show FLAKE` and `nix search nixpkgs llama-cpp` list what there is.""",
)
NIX_BUILD_FAILED = Rule(
    "LD644",
    "nix-build-failed",
    Severity.ERROR,
    """Nix could not build the package. The notes hold its own last lines; `nix log DERIVATION`
shows the whole log. CUDA packages are built on this machine unless some cache has them.""",
)
NIX_NO_LLAMA_SERVER = Rule(
    "LD645",
    "nix-no-llama-server",
    Severity.ERROR,
    """The package was built, and none of its outputs holds `bin/llama-server`. The notes name
them.""",
)
NIX_OFFLINE = Rule(
    "LD646",
    "nix-offline",
    Severity.ERROR,
    """Nix needs something from the network and did not get it: a flake, a source or a binary. Which
caches are asked is decided by Nix's own configuration. Nothing was changed; run it again when the
network is back. A path in Nix's store (`package = "/nix/store/..."`) needs none.""",
)
NIX_FAILED = Rule(
    "LD647",
    "nix-failed",
    Severity.ERROR,
    """Nix ended with an error that llmdecl does not know, often one of evaluation: a package that
is broken, unfree or not for this machine. The notes hold Nix's own last lines.""",
)
NIX_OUTPUT_CHANGED = Rule(
    "LD648",
    "nix-output-changed",
    Severity.ERROR,
    """The package comes to another store path than when it was locked: `<nixpkgs>` moved on, or a
flake of this machine changed. A flake reference to a revision stays what it is. If the change is
meant, `llmdecl lock --update NAME` pins what it comes to now.""",
)
NIX_NOT_PINNED = Rule(
    "LD649",
    "nix-not-pinned",
    Severity.WARNING,
    """The flake is a git tree with changes that are not committed, so its reference names no state
of it. The output is locked all the same, and is refused when the tree comes to another one.""",
)

RULES: tuple[Rule, ...] = (
    NIX_BAD_PACKAGE,
    NIX_MISSING,
    NIX_FLAKES_OFF,
    NIX_NOT_FOUND,
    NIX_BUILD_FAILED,
    NIX_NO_LLAMA_SERVER,
    NIX_OFFLINE,
    NIX_FAILED,
    NIX_OUTPUT_CHANGED,
    NIX_NOT_PINNED,
)
