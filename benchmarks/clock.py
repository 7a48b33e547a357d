"""Runs a program and its children with a faster clock.

Needs libfaketime (Debian: `apt install faketime`) and a C compiler.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Python waits with sem_clockwait, which libfaketime does not replace, so this library replaces it.
# poll and epoll keep the real time, because they wait for other programs, which are not faster.
WAIT_LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(const struct timespec *t) { return t->tv_sec + t->tv_nsec / 1e9; }

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    static int (*true_wait)(sem_t *, clockid_t, const struct timespec *);
    if (!true_wait) true_wait = dlsym(RTLD_NEXT, "sem_clockwait");
    struct timespec faked, real;
    clock_gettime(clock, &faked);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &real);
    double wait = (seconds(until) - seconds(&faked)) / SPEED;
    double end = seconds(&real) + (wait > 0 ? wait : 0);
    struct timespec deadline = {(time_t)end, (long)((end - (time_t)end) * 1e9)};
    return true_wait(semaphore, CLOCK_MONOTONIC, &deadline);
}

int poll(struct pollfd *files, nfds_t count, int timeout_ms)
{
    return syscall(SYS_poll, files, count, timeout_ms);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    return syscall(SYS_epoll_wait, epoll, events, most, timeout_ms);
}
"""


def run_again(speed: float) -> int | None:
    """Run this same command again with a clock that is `speed` times faster.

    Returns its exit code; None if `speed` is 1, or if this process is that run.
    """
    if speed == 1 or "FAKETIME_SHARED" in os.environ:
        return None
    compiler, faketime = shutil.which("cc"), shutil.which("faketime")
    if compiler is None or faketime is None:
        sys.exit("SPEED needs libfaketime and a C compiler: apt install faketime gcc")
    with tempfile.TemporaryDirectory(prefix="fireside-clock-") as folder:
        library = Path(folder) / "waits.so"
        build = [compiler, "-shared", "-fPIC", f"-DSPEED={speed}", "-o", str(library)]
        subprocess.run([*build, "-x", "c", "-"], input=WAIT_LIBRARY.encode(), check=True)
        ours_first = ["sh", "-c", f'LD_PRELOAD={library}:$LD_PRELOAD exec "$@"', "sh"]
        again = [sys.executable, "-m", *sys.orig_argv[sys.orig_argv.index("-m") + 1 :]]
        return subprocess.run(
            [faketime, "-m", "-f", f"+0 x{speed}", *ours_first, *again],
            env=os.environ | {"FAKETIME_DONT_RESET": "1"},
            check=False,
        ).returncode
