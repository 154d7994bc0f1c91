"""A file that is written at the end of something long: refused before it if it cannot be, there as a whole or not at all."""

import contextlib
import os
import tempfile


@contextlib.contextmanager
def output_file(path):
    """Yields a text file that takes the place of `path` when the block ends, and is removed if the block fails.

    Throws OSError at once where nothing can be written there.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # A device or a pipe, or a folder, which open() refuses.
        with open(path, "w", encoding="utf-8") as file:
            yield file
        return
    if os.path.exists(path):
        with open(path, "a", encoding="utf-8"):
            pass
    handle, written = tempfile.mkstemp(dir=os.path.dirname(path), prefix=os.path.basename(path) + ".")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            yield file
        os.chmod(written, os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o666 & ~_mask())
        os.replace(written, path)
    except BaseException:
        os.unlink(written)
        raise


def _mask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
