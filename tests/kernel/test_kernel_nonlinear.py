# SPDX-License-Identifier: Apache-2.0
"""Frames whose first bytes alone are linear, as drivers with split headers hand them to XDP."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import TYPE_CHECKING

import pytest
from fixtures_all import CASES
from kernel_builds import on_one_cpu, tables_of
from kernel_case import IFINDEX, XDP_DROP, XDP_PASS, Case, fields_of

from lictl.probe import abi
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from kernel_builds import KernelBuild, NativeBuild

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="needs the number of bpf(2)"),
]

_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
_PROG_TEST_RUN = 10
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _TestRun(ctypes.Structure):
    """The part of union bpf_attr that BPF_PROG_TEST_RUN reads."""

    _fields_ = (
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_uint64),
        ("ctx_out", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    )


def _run(kernel: KernelBuild, frame: bytes, linear: int) -> int:
    """One frame through XDP, of which `linear` bytes are in the first buffer; the verdict or a negative errno."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = (ctypes.c_uint32 * 6)(0, linear, 0, IFINDEX, 0, 0)
    attributes = _TestRun(
        prog_fd=kernel.probe.program_fd(abi.PROG_INGRESS), data_size_in=len(frame), data_in=ctypes.addressof(data),
        repeat=1, ctx_size_in=ctypes.sizeof(context), ctx_in=ctypes.addressof(context),
    )  # fmt: skip
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_BPF, _PROG_TEST_RUN, ctypes.byref(attributes), ctypes.sizeof(attributes)):
        return -ctypes.get_errno()
    return int(attributes.retval)


@pytest.fixture(scope="module")
def splits(kernel: KernelBuild) -> None:
    """Skips where the kernel (before 6.18) does not let a test run choose the linear part."""
    if _run(kernel, bytes(100), 14) == -errno.EINVAL:
        pytest.skip("this kernel's BPF_PROG_TEST_RUN makes linear frames only")


@pytest.mark.parametrize("linear", [14, 15, 33, 54, 80, 511])
def test_fixtures_are_the_same_when_split(kernel: KernelBuild, native: NativeBuild, splits: None, linear: int) -> None:
    """Every fixture gives the same records when only its first bytes are linear."""
    batch, done = Batch(64), 0
    for case in CASES:
        if len(case.frame) <= linear or len(case.frame) > 16 * _PAGE or case.orders is not CASES[0].orders:
            continue
        _same(case, kernel, native, batch, linear)
        done += 1
    assert done > (20 if linear > 80 else 100)


def _same(case: Case, kernel: KernelBuild, native: NativeBuild, batch: Batch, linear: int) -> None:
    tables = tables_of(case.orders)
    kernel.load(tables, case.hook)
    native.load(tables, case.hook)
    with on_one_cpu():
        verdict = _run(kernel, case.frame, linear)
    drops = case.hook.flags == abi.HOOK_ACTIVE | abi.HOOK_DROP
    assert verdict == (XDP_DROP if drops else XDP_PASS), case.name
    kernel.probe.drain(batch)
    made = [(fields_of(batch.recs[index]), batch.frame(index)) for index in range(batch.n)]
    kernel.probe.release()
    assert made == [(record.fields, record.data) for record in native.run(case.frame).records], case.name
