// SPDX-License-Identifier: Apache-2.0
/*
 * UTC of CLOCK_MONOTONIC.  A reading is bracketed: monotonic, UTC, monotonic;
 * the true offset lies within half the bracket, so the narrowest of many is
 * taken and its half width stated as the error.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define CLOCK_READINGS 16
#define CLOCK_NS 1000000000LL

static int64_t clock_injected;
static pthread_once_t clock_once = PTHREAD_ONCE_INIT;
static int clock_timer_fd = -1;
static int clock_inject_fd = -1;

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * CLOCK_NS + now.tv_nsec;
}

static int64_t clock_shift(void)
{
	const char *text = getenv("LICTL_CLOCK_OFFSET_NS");
	int64_t shift = text ? strtoll(text, NULL, 10) : 0;

	return shift + __atomic_load_n(&clock_injected, __ATOMIC_RELAXED);
}

/* What the kernel's time discipline says of itself; reading only. */
static void clock_discipline(struct ln_clock *out)
{
	struct timex state = {};
	int ret = adjtimex(&state);

	out->synchronised = -1;
	out->kernel_error_ns = 0;
	if (ret < 0)
		return;
	out->synchronised = ret != TIME_ERROR && !(state.status & STA_UNSYNC);
	if (state.esterror > 0)
		out->kernel_error_ns = (uint64_t)state.esterror * 1000;
}

int ln_clock_read(struct ln_clock *out)
{
	int64_t narrowest = INT64_MAX, offset = 0;

	for (int i = 0; i < CLOCK_READINGS; i++) {
		int64_t before = clock_ns(CLOCK_MONOTONIC);
		int64_t utc = clock_ns(CLOCK_REALTIME);
		int64_t width = clock_ns(CLOCK_MONOTONIC) - before;

		if (width < narrowest) {
			narrowest = width;
			offset = utc - before - width / 2;
		}
	}
	out->utc_offset_ns = offset + clock_shift();
	out->error_ns = (uint64_t)narrowest / 2 + 1;
	clock_discipline(out);
	return 0;
}

static void clock_open(void)
{
	clock_timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	clock_inject_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* A timer far ahead, which the kernel cancels when the system clock is stepped. */
static int clock_arm(void)
{
	struct itimerspec far = {.it_value.tv_sec = INT32_MAX};

	if (timerfd_settime(clock_timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) &&
	    errno != ECANCELED)
		return -errno;
	return 0;
}

static void clock_open_armed(void)
{
	clock_open();
	if (clock_timer_fd >= 0)
		clock_arm();
}

void ln_clock_inject(int64_t offset_ns)
{
	uint64_t one = 1;
	ssize_t written;

	pthread_once(&clock_once, clock_open_armed);
	__atomic_add_fetch(&clock_injected, offset_ns, __ATOMIC_RELAXED);
	written = write(clock_inject_fd, &one, sizeof(one));
	(void)written;
}

int ln_clock_wait_step(uint32_t timeout_ms)
{
	struct pollfd fds[2];
	uint64_t count;
	int ret;

	pthread_once(&clock_once, clock_open_armed);
	if (clock_timer_fd < 0 || clock_inject_fd < 0)
		return -EMFILE;
	fds[0] = (struct pollfd){.fd = clock_timer_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = clock_inject_fd, .events = POLLIN};
	ret = poll(fds, 2, (int)timeout_ms);
	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	if (!ret)
		return 0;
	/* Armed anew before the caller reads the clock: a second step is not missed. */
	if (read(clock_timer_fd, &count, sizeof(count)) < 0 && errno == ECANCELED)
		clock_arm();
	if (read(clock_inject_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	return 1;
}
