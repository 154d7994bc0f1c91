"""What this machine is and has: GPU, driver, LibTorch, CUDA toolkit; and the environment of a build on it."""
import ctypes
import datetime
import os
import pathlib
import re
import shutil
import subprocess


def find_gpus():
    """Names of the GPUs that the driver shows, none without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for ordinal in range(count.value):
        driver.cuDeviceGetName(name, len(name), ordinal)
        names.append(name.value.decode())
    return names


def find_torch():
    """The folder of python3's torch, found without loading it; None where there is none."""
    script = ("import importlib.util, pathlib; found = importlib.util.find_spec('torch'); "
              "print(pathlib.Path(found.origin).parent if found and found.origin else '')")
    folder = output("python3", "-c", script)
    return pathlib.Path(folder) if folder else None


def cupti_headers(toolkit):
    """The folder of cupti.h in a toolkit that has CUDA's headers too, else None."""
    for folder in ("include", "extras/CUPTI/include"):
        if (toolkit / "include/cuda.h").exists() and (toolkit / folder / "cupti.h").exists():
            return toolkit / folder
    return None


def find_toolkit(torch):
    """The first folder with the headers of CUDA and CUPTI: CUDA_HOME, the usual place, nvcc's, the one beside torch."""
    nvcc = shutil.which("nvcc")
    candidates = [os.environ.get("CUDA_HOME"), "/usr/local/cuda", nvcc and pathlib.Path(nvcc).resolve().parent.parent,
                  torch and torch.parent / "nvidia/cu13"]
    return next((pathlib.Path(found) for found in candidates if found and cupti_headers(pathlib.Path(found))), None)


def cuda_libraries(torch, toolkit):
    """Folders that may hold CUDA's runtime library: the toolkit's, and the one beside torch."""
    folders = [toolkit and toolkit / "lib64", toolkit and toolkit / "lib", torch and torch.parent / "nvidia/cu13/lib"]
    return [folder for folder in folders if folder and folder.is_dir()]


# pkg-config's name: Debian's package
PACKAGES = {"fmt": "libfmt-dev", "CLI11": "libcli11-dev", "tomlplusplus": "libtomlplusplus-dev",
            "nlohmann_json": "nlohmann-json3-dev", "eigen3": "libeigen3-dev", "gtest": "libgtest-dev",
            "benchmark": "libbenchmark-dev", "libxxhash": "libxxhash-dev", "simdjson": "libsimdjson-dev",
            "sqlite3": "libsqlite3-dev", "zlib": "zlib1g-dev"}


def lacking(torch, toolkit, environment):
    """All that the build needs and does not find, in words: Meson would name one at a time."""
    found = []
    for tool in ("ninja", os.environ.get("CXX", "c++").split()[-1]):
        if not shutil.which(tool, path=environment.get("PATH")):
            found.append(f"the command {tool}")
    if not shutil.which("meson") and not output("python3", "-c", "import mesonbuild; print('here')"):
        found.append("meson (pip install meson, or Debian's package)")
    finder = environment.get("PKG_CONFIG") or shutil.which("pkg-config") or shutil.which("pkgconf")
    if not finder:
        found.append("the command pkg-config")
    else:
        packages = [package for name, package in PACKAGES.items() if not has_package(finder, name, environment)]
        if packages:
            found.append(f"the Debian packages {' '.join(packages)} (installed, or unpacked with --deps)")
    if torch is None:
        found.append("torch for python3 (or --torch)")
    else:
        version, cuda = text(torch / "version.py"), match(r"^cuda.*= *'(.+?)'", text(torch / "version.py"))
        if version and not cuda:
            found.append(f"a CUDA build of torch: {torch} is one for CPUs")
        number = re.match(r"(\d+)\.(\d+)", match(r"__version__ = '(.+?)'", version))
        if number and (int(number[1]), int(number[2])) < (2, 11):
            found.append(f"torch 2.11 or newer: {torch} is {number[0]}")
    if toolkit is None:
        found.append("the headers of CUDA and CUPTI (--toolkit, CUDA_HOME)")
    return found


def has_package(finder, name, environment):
    return subprocess.run([finder, "--exists", name], env=environment, check=False).returncode == 0


def compile_jobs():
    """As many compilers as cores, and 2 GiB for each: a source that includes LibTorch takes that."""
    available = match(r"MemAvailable: +(\d+) kB", text(pathlib.Path("/proc/meminfo")))
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(available) // 2**21)) if available else cores


def environment(deps):
    """This process's; with `deps`, a folder of unpacked Debian packages, pkg-config looks there and nowhere else."""
    found = dict(os.environ)
    if deps is None:
        return found
    libraries = sorted((deps / "usr/lib").glob("*/pkgconfig"))
    found |= {"PKG_CONFIG_LIBDIR": ":".join(map(str, [*libraries, deps / "usr/share/pkgconfig"])),
              "PKG_CONFIG_SYSROOT_DIR": str(deps),  # The packages' files say /usr.
              "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
    if (deps / "usr/bin/pkgconf").exists():
        own = [str(folder.parent) for folder in libraries]  # pkgconf's own library
        found["PKG_CONFIG"] = str(deps / "usr/bin/pkgconf")
        found["LD_LIBRARY_PATH"] = ":".join(own + [path for path in [found.get("LD_LIBRARY_PATH")] if path])
    return found


def provenance(root, gpus, torch, toolkit, commit):
    """What the figures depend on. What cannot be known is `unknown`, never left out."""
    headers = toolkit and cupti_headers(toolkit)
    known = {
        "gpu": ", ".join(gpus),
        "gpu_memory": output("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader").replace("\n", ", "),
        "driver": output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split("\n")[0],
        "cuda": match(r"release ([\d.]+)", output("nvcc", "--version")),
        "cupti": match(r"define CUPTI_API_VERSION +(\d+)", text(headers and headers / "cupti_version.h")),
        "torch": match(r"__version__ = '(.+?)'", text(torch and torch / "version.py")),
        "shardlab": match(r"^  version: '(.+?)'", text(root / "meson.build")),
        "commit": commit or output("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "host": f"{match(r'model name.*: (.+)', text(pathlib.Path('/proc/cpuinfo'))) or 'processor'}, {os.cpu_count()} cores",
        "compiler": output(os.environ.get("CXX", "c++"), "--version").split("\n")[0],
    }
    return {name: value or "unknown" for name, value in known.items()}


def output(*command):
    """What it prints; empty where it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def text(path):
    return path.read_text() if path and path.exists() else ""


def match(pattern, where):
    found = re.search(pattern, where, re.MULTILINE)
    return found[1] if found else ""
