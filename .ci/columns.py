"""Names the lines that are too long, in the files given: over 100 columns in C++, over 128 in Python and Markdown.

clang-format leaves long comments and texts as they are. In Markdown the targets of links do not count, and neither do tables
and code, which cannot be broken. Exits with 1 when there are any.
"""

import pathlib
import re
import sys

LIMITS = {".h": 100, ".cc": 100, ".py": 128, ".md": 128}
TARGET = re.compile(r"(?<=\])\([^)]*\)|<?https?://\S+")


def prose(lines):
    """(number, line) outside tables and code, without the targets of links."""
    code = False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.lstrip().startswith("|") and not line.startswith("    "):
            yield number, TARGET.sub("", line)


def too_long(path):
    lines = path.read_text().splitlines()
    numbered = prose(lines) if path.suffix == ".md" else enumerate(lines, 1)
    return [(number, len(line)) for number, line in numbered if len(line) > LIMITS[path.suffix]]


def main(names):
    bad = 0
    for path in map(pathlib.Path, names):
        for number, columns in too_long(path):
            print(f"{path}:{number}: {columns} columns, at most {LIMITS[path.suffix]}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
