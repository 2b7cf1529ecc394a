# SPDX-License-Identifier: Apache-2.0
"""Counts tracepoints with bcc; a program of its own, run by the system's Python: ``python3 -I trace_bcc.py SECONDS``.

Debian has bcc for its own interpreter only (python3-bpfcc), so nothing here may need another package or lictl itself;
:mod:`lictl.probe.trace` starts it. Further arguments go to bcc's compiler. One JSON object on standard output: the
counts, or ``{"lack": ..., "said": ...}`` with exit status 1. Only tracepoints, in the shape that the running kernel
gives in tracefs: neither the headers' own structures nor any byte of a packet is read.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

TRACEFS = (Path("/sys/kernel/debug/tracing"), Path("/sys/kernel/tracing"))
TRACEPOINTS = ("xdp/xdp_exception", "xdp/xdp_redirect_err", "skb/kfree_skb", "napi/napi_poll", "irq/softirq_raise")
ACTIONS = ("ABORTED", "DROP", "PASS", "TX", "REDIRECT")
POLLED = ("polls", "packets", "full")
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000

PROGRAM = r"""
#include <linux/if.h>
#include <net/dropreason.h>

#define NET_RX 3

struct at_interface {
	int ifindex;
	int what;
};

struct poller {
	char name[IFNAMSIZ];
};

struct polled {
	u64 polls;
	u64 packets;
	u64 full;
};

BPF_PERCPU_HASH(exceptions, struct at_interface, u64, 1024);
BPF_PERCPU_HASH(redirects, struct at_interface, u64, 1024);
BPF_PERCPU_HASH(drops, u32, u64, 1024);
BPF_PERCPU_HASH(polls, struct poller, struct polled, 1024);
BPF_PERCPU_ARRAY(raised, u64, 1);
BPF_PERCPU_ARRAY(uncounted, u64, 1);

// An interrupt may count in the middle of a count on the same CPU.
#define ADD(counter, n) __sync_fetch_and_add(&(counter), n)

static void no_room(void)
{
	int zero = 0;
	u64 *count = uncounted.lookup(&zero);

	if (count)
		ADD(*count, 1);
}

TRACEPOINT_PROBE(xdp, xdp_exception)
{
	struct at_interface key = {.ifindex = args->ifindex, .what = args->act};
	u64 none = 0, *count = exceptions.lookup_or_try_init(&key, &none);

	if (count)
		ADD(*count, 1);
	else
		no_room();
	return 0;
}

TRACEPOINT_PROBE(xdp, xdp_redirect_err)
{
	struct at_interface key = {.ifindex = args->ifindex, .what = args->err};
	u64 none = 0, *count = redirects.lookup_or_try_init(&key, &none);

	if (count)
		ADD(*count, 1);
	else
		no_room();
	return 0;
}

TRACEPOINT_PROBE(skb, kfree_skb)
{
	u32 key = args->reason;
	u64 none = 0, *count = drops.lookup_or_try_init(&key, &none);

	if (count)
		ADD(*count, 1);
	else
		no_room();
	return 0;
}

TRACEPOINT_PROBE(napi, napi_poll)
{
	struct poller key = {};
	struct polled none = {}, *seen;

	TP_DATA_LOC_READ_STR(&key.name, dev_name, sizeof(key.name));
	seen = polls.lookup_or_try_init(&key, &none);
	if (!seen) {
		no_room();
		return 0;
	}
	ADD(seen->polls, 1);
	if (args->work > 0)
		ADD(seen->packets, args->work);
	if (args->budget > 0 && args->work >= args->budget)
		ADD(seen->full, 1);
	return 0;
}

TRACEPOINT_PROBE(irq, softirq_raise)
{
	int zero = 0;
	u64 *count;

	if (args->vec != NET_RX)
		return 0;
	count = raised.lookup(&zero);
	if (count)
		ADD(*count, 1);
	return 0;
}
"""


class LackError(Exception):
    """The machine lacks something: what, and what was said about it."""


def tracefs() -> Path:
    """Where tracepoints are described; mounts tracefs where nobody did, in a mount namespace that ends with us."""
    for folder in TRACEFS:
        if (folder / "events").is_dir():
            return folder
    libc = ctypes.CDLL(None, use_errno=True)
    folder = TRACEFS[1]
    private = libc.unshare(_CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0
    if not private or libc.mount(b"tracefs", bytes(folder), b"tracefs", 0, None) != 0:
        raise LackError("tracefs", os.strerror(ctypes.get_errno()))
    return folder


def reasons(folder: Path) -> dict[int, str]:
    """Names of the drop reasons, as the running kernel prints them."""
    text = (folder / "events/skb/kfree_skb/format").read_text()
    return {int(number, 0): name for number, name in re.findall(r'\{ (\w+), "(\w+)" \}', text)}


def load(flags: list[str]) -> Any:
    """bcc's object with every tracepoint attached."""
    try:
        from bcc import BPF
    except (ImportError, OSError) as error:
        raise LackError("bcc", str(error)) from error
    try:
        return BPF(text=PROGRAM, cflags=flags)
    except Exception as error:  # what bcc raises has no class of its own
        raise LackError("load", str(error)) from error


def interface(ifindex: int) -> str | None:
    """Its name in our network namespace."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return None


def by_interface(table: Any, name: str, word: Any) -> list[dict[str, Any]]:
    """Rows of one of the two tables that are keyed by interface."""
    return [
        {"ifindex": k.ifindex, "interface": interface(k.ifindex), name: word(k.what), "count": sum(v)}
        for k, v in table.items()
    ]


def counts(bpf: Any, names: dict[int, str]) -> dict[str, Any]:
    """All tables as they stand."""
    polled = [
        {"interface": k.name.decode(errors="replace"), **{n: sum(getattr(c, n) for c in v) for n in POLLED}}
        for k, v in bpf["polls"].items()
    ]
    return {
        "xdp_exceptions": by_interface(
            bpf["exceptions"], "action", lambda act: ACTIONS[act] if 0 <= act < len(ACTIONS) else "INVALID"
        ),
        "redirect_errors": by_interface(
            bpf["redirects"], "error", lambda number: errno.errorcode.get(abs(number), str(number))
        ),
        "drops": [{"reason": names.get(k.value, f"{k.value:#x}"), "count": sum(v)} for k, v in bpf["drops"].items()],
        "polls": polled,
        "net_rx_softirqs": [{"cpu": cpu, "count": int(n)} for cpu, n in enumerate(bpf["raised"][0])],
        "uncounted": sum(bpf["uncounted"][0]),
    }


def watch(seconds: float, flags: list[str]) -> dict[str, Any]:
    """Counts for this long."""
    folder = tracefs()
    missing = [name for name in TRACEPOINTS if not (folder / "events" / name).is_dir()]
    if missing:
        raise LackError("tracepoints", ", ".join(name.replace("/", ":") for name in missing))
    names = reasons(folder)
    bpf = load(flags)
    begun = time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - begun
    return {"seconds": round(lasted, 3), **counts(bpf, names)}


def main(arguments: list[str]) -> int:
    """Exit status; see the module's text."""
    try:
        found = watch(float(arguments[0]), arguments[1:])
    except LackError as error:
        found = dict(zip(("lack", "said"), error.args, strict=True))
    sys.stdout.write(json.dumps(found) + "\n")
    return int("lack" in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
