# SPDX-License-Identifier: GPL-2.0
"""Where the rig's own things lie, and how its scripts are called."""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kmodkit"


class UsageError(Exception):
    """Something that the caller asked for cannot be: exit status 2."""


class RigError(Exception):
    """The rig itself failed, and nothing is known of the module: exit status 3."""


def say(text):
    """Tell a person what goes on."""
    print(f"kmodkit: {text}", file=sys.stderr, flush=True)


def output_of(*command, **options):
    """The last line that a script of the rig prints; what it says is passed on."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode or not done.stdout.strip():
        raise RigError(f"{' '.join(command)} failed with exit status {done.returncode}")
    return done.stdout.strip().splitlines()[-1]


@contextmanager
def lock(name):
    """Let no other run work on the same thing in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".lock-{name}", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that works on {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
