// SPDX-License-Identifier: Apache-2.0
/* Sentences for people, and silence from libbpf. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

void ln_say(char *err, size_t err_len, const char *format, ...)
{
	va_list arguments;

	if (!err || !err_len)
		return;
	va_start(arguments, format);
	vsnprintf(err, err_len, format, arguments);
	va_end(arguments);
}

static int text_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	return vfprintf(stderr, format, arguments);
}

static int text_no_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* libbpf writes to standard error: only where the person asked for it. */
void ln_quiet(void)
{
	const char *wanted = getenv("LICTL_LIBBPF_LOG");

	libbpf_set_print(wanted && wanted[0] == '1' ? text_print : text_no_print);
}
