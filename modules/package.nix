# llmdecl from nixpkgs' Python set. Dependencies are those of pyproject.toml, by nixpkgs' names, with
# those of its extra `systemd`.
#
# A Python that has the module, and not an application of nixpkgs: llmdecl starts its own interpreter
# again (`-m llmdecl`, `-m pip`, `-m supervisor.supervisord`), which in an application is the bare one.
{
  lib,
  makeWrapper,
  python3,
  runCommand,
}:
let
  initial = builtins.readFile ../llmdecl/__init__.py;
  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*" initial);

  # what the package is made of; the rest of the repository makes no other package
  parts = [
    "LICENSE"
    "README.md"
    "llmdecl"
    "pyproject.toml"
  ];
  top = toString ../.;
  isPart =
    path: _type:
    let
      names = lib.splitString "/" (lib.removePrefix "${top}/" path);
    in
    builtins.elem (builtins.head names) parts && !(builtins.elem "__pycache__" names);

  meta = {
    description = "One spec for a running, pinned, memory-proven local LLM stack on llama.cpp";
    license = lib.licenses.mit;
    mainProgram = "llmdecl";
    platforms = lib.platforms.linux;
  };

  module = python3.pkgs.buildPythonPackage {
    pname = "llmdecl";
    inherit version;
    pyproject = true;

    src = builtins.path {
      name = "llmdecl-source";
      path = ../.;
      filter = isPart;
    };

    build-system = [ python3.pkgs.hatchling ];

    dependencies = with python3.pkgs; [
      click
      dbus-fast
      filelock
      httptools
      msgspec
      pip
      platformdirs
      prometheus-client
      pydantic
      rich
      supervisor
      urllib3
      uvloop
    ];

    pythonImportsCheck = [
      "llmdecl"
      "llmdecl.cli"
    ];

    inherit meta;
  };
  python = python3.withPackages (_: [ module ]);
in
runCommand "llmdecl-${version}"
  {
    nativeBuildInputs = [ makeWrapper ];
    passthru = { inherit module python; };
    inherit meta;
  }
  ''
    makeWrapper ${python}/bin/python3 "$out/bin/llmdecl" --add-flags "-P -m llmdecl"
  ''
