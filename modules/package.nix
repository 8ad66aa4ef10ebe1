# llmdecl from nixpkgs' Python set. Dependencies are those of pyproject.toml, by nixpkgs' names, with
# those of its extra `systemd`.
{ lib, python3Packages }:
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
in
python3Packages.buildPythonApplication {
  pname = "llmdecl";
  inherit version;
  pyproject = true;

  src = builtins.path {
    name = "llmdecl-source";
    path = ../.;
    filter = isPart;
  };

  build-system = [ python3Packages.hatchling ];

  dependencies = with python3Packages; [
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

  meta = {
    description = "One spec for a running, pinned, memory-proven local LLM stack on llama.cpp";
    license = lib.licenses.mit;
    mainProgram = "llmdecl";
    platforms = lib.platforms.linux;
  };
}
