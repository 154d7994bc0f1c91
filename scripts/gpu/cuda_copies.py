"""Plain CUDA copies of 256 MiB between host and device, by ctypes: a measure of links that shares no code with Shardlab's."""
import ctypes
import json
import statistics
import sys
import time

BYTES = 256 << 20
ROUNDS = 20
NAMES = ("libcudart.so.13", "libcudart.so", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so")


def load():
    for name in NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    sys.exit("no CUDA runtime library: " + ", ".join(NAMES))


def check(code):
    if code != 0:
        sys.exit(f"the CUDA runtime returned error {code}")


def main():
    cuda = load()
    device, pinned, stream = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    check(cuda.cudaMalloc(ctypes.byref(device), ctypes.c_size_t(BYTES)))
    check(cuda.cudaMallocHost(ctypes.byref(pinned), ctypes.c_size_t(BYTES)))
    check(cuda.cudaStreamCreate(ctypes.byref(stream)))
    buffer = ctypes.create_string_buffer(BYTES)
    pageable = ctypes.cast(buffer, ctypes.c_void_p)
    found = {}
    for memory, host in (("pinned", pinned), ("pageable", pageable)):
        for way, to, source, kind in (("to_device", device, host, 1), ("to_host", host, device, 2)):
            times = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                check(cuda.cudaMemcpyAsync(to, source, ctypes.c_size_t(BYTES), kind, stream))
                check(cuda.cudaStreamSynchronize(stream))
                times.append(time.perf_counter() - started)
            found[f"{way}_{memory}"] = BYTES / statistics.median(times)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
