/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Fixed-width types for the BPF build, where the C library's headers do not apply. */
#ifndef LICTL_BPF_TYPES_H
#define LICTL_BPF_TYPES_H

#include <linux/types.h>

typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
typedef __s32 int32_t;
typedef __s64 int64_t;

#endif
