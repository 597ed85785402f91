// SPDX-License-Identifier: GPL-2.0
/* JSON on stdout: knows where commas go, escapes strings, ends each text with a newline. */
#include "kmk.h"

#include <inttypes.h>
#include <stdio.h>

static char closers[8];		/* what closes each open object or array */
static size_t depth;
static bool comma;

static void put_string(const char *text)
{
	const char *c;

	putchar('"');
	for (c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if ((unsigned char)*c < 0x20)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

static void put_name(const char *name)
{
	if (comma)
		putchar(',');
	comma = true;
	if (name) {
		put_string(name);
		putchar(':');
	}
}

static void json_begin(const char *name, const char *brackets)
{
	put_name(name);
	putchar(brackets[0]);
	closers[depth++] = brackets[1];
	comma = false;
}

void json_object(const char *name)
{
	json_begin(name, "{}");
}

void json_array(const char *name)
{
	json_begin(name, "[]");
}

void json_end(void)
{
	putchar(closers[--depth]);
	comma = depth;
	if (!depth)
		putchar('\n');
}

void json_string(const char *name, const char *value)
{
	put_name(name);
	put_string(value);
}

void json_signed(const char *name, int64_t value)
{
	put_name(name);
	printf("%" PRId64, value);
}

void json_unsigned(const char *name, uint64_t value)
{
	put_name(name);
	printf("%" PRIu64, value);
}

void json_decimal(const char *name, double value)
{
	put_name(name);
	printf("%.6f", value);
}

void json_bool(const char *name, bool value)
{
	put_name(name);
	printf("%s", value ? "true" : "false");
}

void json_null(const char *name)
{
	put_name(name);
	printf("null");
}
