"""A disk that fails, or takes its process with it, at one chosen file operation of a run.

A small library stands between Python and the system (LD_PRELOAD). In a forked process it counts the operations on the
files below one folder: opening to write, write, rename, fsync, unlink, mkdir, allocation. At the chosen one it kills
the process in the middle (half of a write is on the disk then), or says once that no space is left.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char prefix[4096];
static size_t length;
static atomic_long count;
static long chosen;
static int kills, armed;
static char ours[65536];

void shim_arm(const char *folder, long at, int kill_there) {
    strncpy(prefix, folder, sizeof prefix - 1);
    length = strlen(prefix);
    count = 0; chosen = at; kills = kill_there; armed = 1;
}
long shim_count(void) { return count; }

static int inside(const char *path) { return armed && path && strncmp(path, prefix, length) == 0; }
static int now(void) { return ++count == chosen; }
static int die_or_fail(void) {
    if (kills) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return -1;
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *) dlsym(RTLD_NEXT, #name)
#define OPEN(name)                                                                          \
int name(const char *path, int flags, ...) {                                                \
    REAL(name);                                                                             \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more);  \
    int writes = inside(path) && (flags & (O_WRONLY | O_RDWR | O_CREAT));                   \
    if (writes && now()) return die_or_fail();                                              \
    int fd = real(path, flags, mode);                                                       \
    if (fd >= 0 && fd < 65536) ours[fd] = inside(path);                                     \
    return fd;                                                                              \
}
OPEN(open)
OPEN(open64)
int close(int fd) { REAL(close); if (fd >= 0 && fd < 65536) ours[fd] = 0; return real(fd); }
static int is_ours(int fd) { return armed && fd >= 0 && fd < 65536 && ours[fd]; }
ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (is_ours(fd) && now()) {
        if (size > 1) real(fd, data, size / 2);
        return die_or_fail();
    }
    return real(fd, data, size);
}
int fsync(int fd) { REAL(fsync); if (is_ours(fd) && now()) return die_or_fail(); return real(fd); }
int rename(const char *from, const char *to) {
    REAL(rename);
    if (inside(to) && now()) return die_or_fail();
    return real(from, to);
}
int unlink(const char *path) {
    REAL(unlink);
    if (inside(path) && now() && kills) return die_or_fail();
    return real(path);
}
int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (inside(path) && now()) return die_or_fail();
    return real(path, mode);
}
int posix_fallocate64(int fd, off64_t offset, off64_t size) {
    REAL(posix_fallocate64);
    if (is_ours(fd) && now()) { if (kills) die_or_fail(); return ENOSPC; }
    return real(fd, offset, size);
}
int posix_fallocate(int fd, off_t offset, off_t size) {
    REAL(posix_fallocate);
    if (is_ours(fd) && now()) { if (kills) die_or_fail(); return ENOSPC; }
    return real(fd, offset, size);
}
"""
LIBRARY = "HOMEOSTAT_SHIM"


def built(folder: Path) -> Path | None:
    """Compile the library; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SOURCE)
    command = [compiler, "-O1", "-shared", "-fPIC", "-w", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """The environment of a process in which operations can be counted."""
    return {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library)}


@dataclass(frozen=True)
class End:
    """The end of a forked process."""

    code: int
    """Its exit code; a negative number is a signal."""
    text: str
    operations: int

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


def forked(work: Callable[[], int], log: Path, limit_s: float = 600.0) -> End:
    """Do the work in a process of its own; one that takes longer than its limit is ended by SIGALRM."""
    import signal

    process = os.fork()
    if process == 0:
        signal.alarm(int(limit_s))
        _live(work, log)
    _, status = os.waitpid(process, 0)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    counted = text.rpartition("operations: ")[2].split("\n")[0]
    return End(os.waitstatus_to_exitcode(status), text, int(counted) if counted.isdigit() else 0)


def armed(folder: Path, at: int, *, kills: bool) -> None:
    """Count from here on in this process; the operation `at` is the one that fails."""
    library = ctypes.CDLL(os.environ[LIBRARY])
    library.shim_arm(str(folder).encode(), ctypes.c_long(at), int(kills))


def _live(work: Callable[[], int], log: Path) -> NoReturn:
    code = 1
    try:
        with log.open("wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        code = work()
    except BaseException:  # noqa: BLE001  # the log shows it; there is no caller to raise to
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if LIBRARY in os.environ:
            os.write(2, f"\noperations: {ctypes.CDLL(os.environ[LIBRARY]).shim_count()}\n".encode())
        os._exit(code)


def commanded(commands: Sequence[Sequence[object]]) -> int:
    """Run commands of the command line one after the other, until one fails."""
    from homeostat.cli import main

    code = 0
    for words in commands:
        code = main([str(word) for word in words])
        if code:
            break
    return code
