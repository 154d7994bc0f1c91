"""Every header compiles alone, twice in a row, and without LibTorch or CUDA."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build"))
FOLDERS = ["core", "sched", "policies", "sim", "traces", "models", "exec", "profiler", "imports", "report", "validate", "cli"]
PACKAGES = ["fmt", "CLI11", "tomlplusplus", "nlohmann_json", "eigen3", "libxxhash", "gtest"]
HEADERS = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("**/*.h"))


def command():
    flags = subprocess.run(["pkg-config", "--cflags", *PACKAGES], check=True, capture_output=True, text=True).stdout
    # ccache keeps results of -c only, so that is used rather than -fsyntax-only.
    launcher = [shutil.which("ccache")] if shutil.which("ccache") else []
    return [*launcher, "c++", "-std=c++20", "-O0", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}",
            *flags.replace("-I", "-isystem").split()]


def compile_alone(name, folder, base):
    source = folder / (name.replace("/", "_") + ".cc")
    text = f'#include "{name}"\n#include "{name}"\n'
    if not source.exists() or source.read_text() != text:
        source.write_text(text)
    run = subprocess.run([*base, "-c", str(source), "-o", str(source.with_suffix(".o"))],
                         capture_output=True, text=True)
    return run.stderr if run.returncode else ""


@pytest.fixture(scope="module")
def errors():
    """What the compiler said of each header; empty when it compiles."""
    folder = BUILD / "headers"
    folder.mkdir(parents=True, exist_ok=True)
    base = command()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(HEADERS, pool.map(lambda name: compile_alone(name, folder, base), HEADERS)))


@pytest.mark.parametrize("name", HEADERS)
def test_header_compiles_alone(name, errors):
    assert not errors[name], errors[name]


def test_a_header_that_needs_another_is_found(tmp_path):
    (tmp_path / "needy.h").write_text("#pragma once\nstd::string name();\n")
    assert "string" in compile_alone("needy.h", tmp_path, [*command(), f"-I{tmp_path}"])
