# SPDX-License-Identifier: Apache-2.0
"""The measurement's own XDP programs, compiled and loaded when a benchmark starts."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("programs.bpf.c")


class Programs:
    """The programs of ``programs.bpf.c``, loaded and pinned on a bpffs of their own; a context manager.

    Attributes:
        folder: where they are pinned, by name.
    """

    def __enter__(self) -> Self:
        self._work = tempfile.TemporaryDirectory(prefix="lictl-bench-")
        work = Path(self._work.name)
        self._mount = work / "bpf"
        self._mount.mkdir()
        self.folder = self._mount / "programs"
        include = f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH')}"
        compiled = work / "programs.o"
        subprocess.run(["clang", "-O2", "-g", "-target", "bpf", include, "-c", SOURCE, "-o", compiled], check=True)
        subprocess.run(["mount", "-t", "bpf", "bpf", self._mount], check=True)
        try:
            subprocess.run(
                ["bpftool", "prog", "loadall", compiled, self.folder, "pinmaps", self._mount],
                check=True,
                capture_output=True,
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", self._mount], check=False)
        self._work.cleanup()

    def descriptor(self, name: str) -> int:
        """A file descriptor of a program; the caller closes it."""
        libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
        descriptor = int(libbpf.bpf_obj_get(os.fsencode(self.folder / name)))
        if descriptor < 0:
            raise OSError(-descriptor, f"{name} is not pinned")
        return descriptor

    def set_pace(self, rate: float | None) -> None:
        """The generator's rate from now on in packets a second; None: as fast as it goes."""
        gap, due = (round(1e9 / rate), time.monotonic_ns()) if rate else (0, 0)
        value = struct.pack("<QQ", gap, due)
        argv = ["bpftool", "map", "update", "pinned", str(self._mount / "bench_pace"), "key", *"0000", "value"]
        subprocess.run([*argv, *map(str, value)], check=True)

    def path(self, name: str) -> Path:
        """Where a program is pinned, for ``ip link set xdp pinned``."""
        return self.folder / name
