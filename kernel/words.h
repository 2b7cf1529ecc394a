/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Whole words at any address.  Where the compiler does not know how bytes are
 * aligned, its memcpy for BPF loads and stores each byte by itself; the CPUs that
 * run the program take a word from anywhere.  Not for the BPF stack, where the
 * verifier wants words aligned.
 */
#ifndef LICTL_WORDS_H
#define LICTL_WORDS_H

#include "abi.h"

/* Unaligned access is the processor's for BPF, the compiler's for native. */
#ifdef __bpf__
#define LI_WORD(bits) typedef uint##bits##_t __attribute__((may_alias)) li_word##bits
#else
#define LI_WORD(bits) typedef uint##bits##_t __attribute__((may_alias, aligned(1))) li_word##bits
#endif

LI_WORD(16);
LI_WORD(32);
LI_WORD(64);

#define li_read(bits, from) (*(const li_word##bits *)(from))
#define li_write(bits, to, value) (*(li_word##bits *)(to) = (value))
#define li_move(bits, to, from) li_write(bits, to, li_read(bits, from))

#endif
