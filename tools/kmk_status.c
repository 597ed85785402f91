// SPDX-License-Identifier: GPL-2.0
/* kmk status: what is loaded, in which version, with which nodes. */
#include "kmk.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <kmk/version.h>

static const struct {
	const char *name;
	const char *nodes[2];
} modules[] = {
	{ "kmk_minimal", { NULL } },
	{ "kmk_echo", { "/dev/echo", "/dev/echo_fifo" } },
	{ "kmk_proc", { "/proc/rust_proc" } },
	{ "kmk_irq", { "/dev/irq_events" } },
	{ "kmk_syscall", { "/dev/syscall_ext" } },
	{ "kmk_mempool", { "/dev/mempool" } },
	{ "kmk_ramfs", { NULL } },
};

struct module_state {
	bool loaded;
	char version[32];	/* empty: the module tells none */
};

static struct module_state look_up(const char *module)
{
	struct module_state state = { .loaded = module_loaded(module) };
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/version", module);
	if (state.loaded)
		file_line(path, state.version, sizeof(state.version));
	return state;
}

static void json_node(const char *path)
{
	struct stat st;
	char mode[8];

	if (stat(path, &st))
		return;
	snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
	json_object(NULL);
	json_string("path", path);
	json_string("mode", mode);
	json_unsigned("uid", st.st_uid);
	json_unsigned("gid", st.st_gid);
	json_end();
}

static void json_module(const char *name, const struct module_state *state,
			const char *const nodes[2])
{
	size_t i;

	json_object(NULL);
	json_string("name", name);
	json_bool("loaded", state->loaded);
	if (state->version[0])
		json_string("version", state->version);
	else
		json_null("version");
	json_array("nodes");
	for (i = 0; state->loaded && i < 2 && nodes[i]; i++)
		json_node(nodes[i]);
	json_end();
	json_end();
}

static void print_node(const char *path)
{
	static const char letters[] = "rwxrwxrwx";
	char mode[sizeof(letters)] = "---------";
	struct stat st;
	int bit;

	if (stat(path, &st)) {
		printf("  %s missing", path);
		return;
	}
	for (bit = 0; bit < 9; bit++)
		if (st.st_mode & (0400 >> bit))
			mode[bit] = letters[bit];
	printf("  %s %s %u:%u", path, mode, st.st_uid, st.st_gid);
}

static void print_module(const char *name, const struct module_state *state,
			 const char *const nodes[2])
{
	bool has_nodes = state->loaded && nodes[0];
	size_t i;

	printf("%-12s %-10s %-*s", name, state->loaded ? "loaded" : "not loaded",
	       has_nodes ? 8 : 0, state->version[0] ? state->version : "-");
	for (i = 0; has_nodes && i < 2 && nodes[i]; i++)
		print_node(nodes[i]);
	putchar('\n');
}

int kmk_status(const struct request *request)
{
	struct module_state states[ARRAY_SIZE(modules)];
	struct utsname host;
	size_t i;

	uname(&host);
	for (i = 0; i < ARRAY_SIZE(modules); i++)
		states[i] = look_up(modules[i].name);

	if (request->json) {
		json_object(NULL);
		json_string("kmk", KMK_VERSION);
		json_string("kernel", host.release);
		json_array("modules");
		for (i = 0; i < ARRAY_SIZE(modules); i++)
			json_module(modules[i].name, &states[i], modules[i].nodes);
		json_end();
		json_end();
	} else {
		printf("kmk %s on Linux %s\n", KMK_VERSION, host.release);
		for (i = 0; i < ARRAY_SIZE(modules); i++)
			print_module(modules[i].name, &states[i], modules[i].nodes);
	}

	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(modules); i++)
		if (states[i].loaded && strcmp(states[i].version, KMK_VERSION))
			warnx("%s is version %s, this is kmk %s: use both of one release",
			      modules[i].name, states[i].version[0] ? states[i].version : "unknown",
			      KMK_VERSION);
	return 0;
}
