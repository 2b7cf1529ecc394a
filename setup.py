# SPDX-License-Identifier: Apache-2.0
"""Builds what is not Python: the BPF object and the native extension.  Everything else is in pyproject.toml."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

BPF_SOURCE = Path("kernel/capture.bpf.c")
BPF_OBJECT = "capture.bpf.o"
BPF_FLAGS = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"]
PACKAGE = Path("lictl/probe")


class BuildExt(build_ext):
    """build_ext that also compiles the capture program and notes its hash."""

    def run(self) -> None:
        """Builds the BPF object, then the extension."""
        for folder in self._folders():
            self._build_bpf(folder)
        super().run()

    def get_outputs(self) -> list[str]:
        """The extension and the package data made here."""
        folder = Path(self.build_lib) / PACKAGE
        return [*super().get_outputs(), str(folder / BPF_OBJECT), str(folder / f"{BPF_OBJECT}.sha256")]

    def get_output_mapping(self) -> dict[str, str]:
        """Where an editable install finds each output: in the source tree."""
        made = {
            str(Path(self.build_lib) / PACKAGE / name): str(PACKAGE / name)
            for name in (BPF_OBJECT, f"{BPF_OBJECT}.sha256")
        }
        return {**super().get_output_mapping(), **(made if self.inplace else {})}

    def _folders(self) -> list[Path]:
        return [PACKAGE if self.inplace else Path(self.build_lib) / PACKAGE]

    def _build_bpf(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / BPF_OBJECT
        multiarch = sysconfig.get_config_var("MULTIARCH")
        include = [f"-I/usr/include/{multiarch}"] if multiarch else []
        subprocess.run(["clang", *BPF_FLAGS, *include, "-c", str(BPF_SOURCE), "-o", str(target)], check=True)
        # Debug sections go, BTF stays: the paths of the build do not belong into a package.
        subprocess.run(["llvm-strip", "-g", str(target)], check=True)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        (folder / f"{BPF_OBJECT}.sha256").write_text(f"{digest}  {BPF_OBJECT}\n")


if os.environ.get("LICTL_AGENCY"):  # what an agency needs is Python alone, for any system: docs/agency-guide.md
    setup()
else:
    setup(
        cffi_modules=["native/build_native.py:ffibuilder"],
        cmdclass={"build_ext": BuildExt},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},  # the extension keeps to the stable ABI
    )
