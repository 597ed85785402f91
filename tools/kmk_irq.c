// SPDX-License-Identifier: GPL-2.0
/* kmk irq: /dev/irq_events and its counters. */
#include "kmk.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <kmodkit/irq_events.h>

#define MODULE	"kmk_irq"
#define NODE	"/dev/irq_events"
#define SYSFS	"/sys/class/misc/irq_events/"

#define NS_PER_S 1000000000ULL

int kmk_irq_count(const struct request *request)
{
	const struct field fields[] = {
		{ "irq", sysfs_number(SYSFS "irq", MODULE) },
		{ "count", sysfs_number(SYSFS "count", MODULE) },
		{ "dropped", sysfs_number(SYSFS "dropped", MODULE) },
	};

	if (request->json)
		json_fields(NULL, fields, ARRAY_SIZE(fields));
	else
		print_fields(fields, ARRAY_SIZE(fields), "");
	return 0;
}

int kmk_irq_trigger(const struct request *request)
{
	uint64_t times = 1;
	char text[64];

	if (request->nargs && !parse_number(request->args[0], &times))
		errx(KMK_USAGE, "not a number: %s", request->args[0]);
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", times, request->data);
	sysfs_write(SYSFS "trigger", MODULE, text);
	return 0;
}

/* An event and how many before it were overwritten before we read them. */
struct seen {
	struct kmk_irq_event event;
	uint64_t missed;
};

struct watch {
	int fd;
	bool json;
	bool started;
	uint64_t next;		/* the seq to come */
	uint64_t left;		/* events still wanted */
};

static size_t next_events(struct watch *watch, struct seen *seen, size_t room)
{
	struct kmk_irq_event events[64];
	size_t want = ARRAY_SIZE(events), n, i;
	ssize_t got;

	if (want > room)
		want = room;
	if (want > watch->left)
		want = watch->left;
	got = read(watch->fd, events, want * sizeof(*events));
	if (got < 0)
		err(KMK_FAILED, NODE);
	n = got / sizeof(*events);
	for (i = 0; i < n; i++) {
		seen[i].event = events[i];
		seen[i].missed = watch->started ? events[i].seq - watch->next : 0;
		watch->started = true;
		watch->next = events[i].seq + 1;
	}
	watch->left -= n;
	return n;
}

static void print_event(const struct seen *seen, bool json)
{
	const struct kmk_irq_event *event = &seen->event;

	if (json) {
		json_object(NULL);
		json_unsigned("timestamp_ns", event->timestamp_ns);
		json_unsigned("seq", event->seq);
		json_unsigned("irq", event->irq);
		json_unsigned("cpu", event->cpu);
		json_unsigned("data", event->data);
		json_unsigned("flags", event->flags);
		json_unsigned("missed", seen->missed);
		json_end();
		return;
	}
	printf("%6llu.%09llu seq %llu irq %u cpu %u data %llu", event->timestamp_ns / NS_PER_S,
	       event->timestamp_ns % NS_PER_S, event->seq, event->irq, event->cpu, event->data);
	if (event->flags & KMK_IRQ_EVENT_THREADED)
		printf(" threaded");
	if (seen->missed)
		printf(" missed %" PRIu64, seen->missed);
	putchar('\n');
}

static void watch_lines(struct watch *watch)
{
	struct seen seen[64];
	size_t n, i;

	while (watch->left) {
		n = next_events(watch, seen, ARRAY_SIZE(seen));
		for (i = 0; i < n; i++)
			print_event(&seen[i], watch->json);
		if (fflush(stdout))
			err(KMK_FAILED, "standard output");
	}
}

/* The live view: the counters, and the latest events below them. */
struct view {
	struct seen latest[16];	/* a ring */
	uint64_t events;	/* ever put into it */
	uint64_t missed;
	int lines;		/* on the terminal now */
	uint64_t count, before;
	struct timespec at;	/* when @before was the count */
	double rate;
	struct timespec drawn;
};

static void update_rate(struct view *view)
{
	const double seconds = seconds_since(&view->at);

	view->count = sysfs_number(SYSFS "count", MODULE);
	if (view->at.tv_sec && seconds < 1)
		return;
	if (view->at.tv_sec)
		view->rate = (view->count - view->before) / seconds;
	view->before = view->count;
	clock_gettime(CLOCK_MONOTONIC, &view->at);
}

static void draw(struct view *view)
{
	struct winsize size = { 0 };
	uint64_t rows = ARRAY_SIZE(view->latest), i;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 3 && size.ws_row - 3u < rows)
		rows = size.ws_row - 3;
	if (rows > view->events)
		rows = view->events;

	update_rate(view);
	if (view->lines)
		printf("\033[%dA\033[J", view->lines);
	fputs("\033[?7l", stdout);	/* cut long lines, which would shift the others */
	printf("irq %" PRIu64 "  count %" PRIu64 "  per second %.0f  dropped %" PRIu64
	       "  missed here %" PRIu64 "\n",
	       sysfs_number(SYSFS "irq", MODULE), view->count, view->rate,
	       sysfs_number(SYSFS "dropped", MODULE), view->missed);
	for (i = view->events - rows; i < view->events; i++)
		print_event(&view->latest[i % ARRAY_SIZE(view->latest)], false);
	fputs("\033[?7h", stdout);
	if (fflush(stdout))
		err(KMK_FAILED, "standard output");
	view->lines = rows + 1;
	clock_gettime(CLOCK_MONOTONIC, &view->drawn);
}

static void watch_live(struct watch *watch)
{
	struct pollfd ready = { .fd = watch->fd, .events = POLLIN };
	struct view view = { .lines = 0 };
	struct seen seen[ARRAY_SIZE(view.latest)];
	size_t n, i;

	draw(&view);
	while (watch->left) {
		n = 0;
		if (poll(&ready, 1, 250) > 0)
			n = next_events(watch, seen, ARRAY_SIZE(seen));
		for (i = 0; i < n; i++) {
			view.latest[view.events++ % ARRAY_SIZE(view.latest)] = seen[i];
			view.missed += seen[i].missed;
		}
		/* Many at once are read rather than drawn. */
		if (!n || !watch->left || seconds_since(&view.drawn) > 0.1)
			draw(&view);
	}
}

int kmk_irq_watch(const struct request *request)
{
	struct watch watch = {
		.fd = device_open(NODE, MODULE, O_RDONLY),
		.json = request->json,
		.left = request->count ?: UINT64_MAX,
	};

	if (on_terminal(STDOUT_FILENO) && !watch.json)
		watch_live(&watch);
	else
		watch_lines(&watch);
	close(watch.fd);
	return 0;
}
