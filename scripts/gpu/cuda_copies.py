"""Plain CUDA copies between host and device, by ctypes: a measure of links that shares no code with Shardlab's.

    cuda_copies.py BYTES [FOLDER...]    # where libcudart may lie

Each way alone, then both at once: a thread, a stream and buffers of its own for each.
"""
import ctypes
import json
import pathlib
import statistics
import sys
import threading
import time

ROUNDS = 20
NAMES = ("libcudart.so.13", "libcudart.so", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so")
WAYS = {"to_device": 1, "to_host": 2}  # as cudaMemcpyKind has them


def load(folders):
    beside = [str(library) for folder in folders for library in sorted(pathlib.Path(folder).glob("libcudart.so*"))]
    for name in [*NAMES, *beside]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    sys.exit("no CUDA runtime library: " + ", ".join(NAMES))


def check(code):
    if code != 0:
        raise RuntimeError(f"the CUDA runtime returned error {code}")


class Way:
    """Copies in one direction, of one kind of host memory."""

    def __init__(self, cuda, kind, pinned, size):
        self.cuda, self.kind, self.bytes = cuda, kind, size
        self.device, self.stream, self.host = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        check(cuda.cudaMalloc(ctypes.byref(self.device), ctypes.c_size_t(self.bytes)))
        check(cuda.cudaStreamCreate(ctypes.byref(self.stream)))
        if pinned:
            check(cuda.cudaMallocHost(ctypes.byref(self.host), ctypes.c_size_t(self.bytes)))
        else:
            self.buffer = ctypes.create_string_buffer(self.bytes)
            self.host = ctypes.cast(self.buffer, ctypes.c_void_p)

    def copy(self):
        to, source = (self.device, self.host) if self.kind == WAYS["to_device"] else (self.host, self.device)
        check(self.cuda.cudaMemcpyAsync(to, source, ctypes.c_size_t(self.bytes), self.kind, self.stream))
        check(self.cuda.cudaStreamSynchronize(self.stream))

    def rate(self):
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            self.copy()
            times.append(time.perf_counter() - started)
        return self.bytes / statistics.median(times)


def together(ways):
    """What each passes while the others copy too: whoever is done goes on until all are."""
    rates, running = {}, threading.Semaphore(0)
    start, done = threading.Barrier(len(ways)), threading.Event()

    def work(name, way):
        start.wait()
        rates[name] = way.rate()
        running.release()
        while not done.is_set():
            way.copy()

    threads = [threading.Thread(target=work, args=each, daemon=True) for each in ways.items()]
    for thread in threads:
        thread.start()
    for _ in ways:
        if not running.acquire(timeout=60):
            raise RuntimeError("copies in both directions at once do not end")
    done.set()
    for thread in threads:
        thread.join()
    return rates


def main(size, folders):
    cuda = load(folders)
    found = {}
    try:
        for memory in ("pinned", "pageable"):
            ways = {name: Way(cuda, kind, memory == "pinned", size) for name, kind in WAYS.items()}
            found |= {f"{name}_{memory}": way.rate() for name, way in ways.items()}
            found |= {f"{name}_{memory}_shared": rate for name, rate in together(ways).items()}
    except RuntimeError as problem:
        sys.exit(str(problem))
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
