// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_irq: an interrupt beside one whose handler does nothing, as
 * kmk_irq_bench measures them, and the reads of one event and of many at once
 * beside the cheapest reads of a queue.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kmodkit/irq_events.h>

#include "bench.h"

#define READS 1000
#define MANY 100

static int event_fd, pipe_fds[2], events;

static void eventfd_prepare(unsigned long ops)
{
	eventfd_t count = ops;

	must_be(sizeof(count), write(event_fd, &count, sizeof(count)));
}

static void eventfd_run(unsigned long ops)
{
	eventfd_t count;

	while (ops--)
		must_be(sizeof(count), read(event_fd, &count, sizeof(count)));
}

static void pipe_prepare(unsigned long ops)
{
	static char bytes[READS];

	must_be(ops, write(pipe_fds[1], bytes, ops));
}

static void pipe_run(unsigned long ops)
{
	char byte;

	while (ops--)
		must_be(1, read(pipe_fds[0], &byte, 1));
}

static void events_prepare(unsigned long ops)
{
	int fd = must(open("/sys/class/misc/irq_events/trigger", O_WRONLY | O_CLOEXEC));

	must(dprintf(fd, "%lu", ops));
	close(fd);
}

static void events_run(unsigned long ops)
{
	struct kmk_irq_event event;

	while (ops--)
		must_be(sizeof(event), read(events, &event, sizeof(event)));
}

/* An operation is one event. */
static void many_events_run(unsigned long ops)
{
	static struct kmk_irq_event many[MANY];

	for (; ops; ops -= MANY)
		must_be(sizeof(many), read(events, many, sizeof(many)));
}

static const struct bench_side read_sides[] = {
	{ .name = "eventfd", .run = eventfd_run, .prepare = eventfd_prepare },
	{ .name = "pipe", .run = pipe_run, .prepare = pipe_prepare },
	{ .name = "irq_events", .run = events_run, .prepare = events_prepare },
};

static const struct bench_side many_sides[] = {
	{ .name = "irq_events", .run = many_events_run, .prepare = events_prepare },
};

int main(void)
{
	bench_relay("/sys/kernel/debug/kmk_irq_bench");

	event_fd = must(eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC));
	must(pipe(pipe_fds));
	events = must(open("/dev/irq_events", O_RDONLY | O_CLOEXEC));
	/* Read the events of the interrupts above. */
	must(fcntl(events, F_SETFL, O_NONBLOCK));
	while (read(events, &(struct kmk_irq_event){ }, sizeof(struct kmk_irq_event)) > 0)
		;
	must(fcntl(events, F_SETFL, 0));
	bench_compare("read", READS, read_sides, ARRAY_SIZE(read_sides));
	bench_compare("read-100", READS, many_sides, ARRAY_SIZE(many_sides));
	return 0;
}
