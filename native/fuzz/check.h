/* SPDX-License-Identifier: Apache-2.0 */
/* A promise whose breach is a finding. */
#ifndef LICTL_FUZZ_CHECK_H
#define LICTL_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: broken: %s\n", __func__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#endif
