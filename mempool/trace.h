/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmk_mempool

#if !defined(_MEMPOOL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MEMPOOL_TRACE_H

#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <kmk/mempool.h>

#include "internal.h"

TRACE_DEFINE_ENUM(KMK_MISUSE_FREE);
TRACE_DEFINE_ENUM(KMK_MISUSE_FOREIGN);
TRACE_DEFINE_ENUM(KMK_MISUSE_ALIGN);
TRACE_DEFINE_ENUM(KMK_MISUSE_OVERRUN);

/* A misuse of a pool or of a memory manager was found and refused. */
TRACE_EVENT(kmk_mempool_misuse,
	TP_PROTO(const char *name, const void *block, enum kmk_misuse what,
		 unsigned long caller),
	TP_ARGS(name, block, what, caller),
	TP_STRUCT__entry(
		__array(char, name, KMK_MEMPOOL_NAME_LEN)
		__array(char, block, 20)	/* Linux 5.10 would show the address itself */
		__field(int, what)
		__array(char, caller, 128)	/* whose code may be gone when this is read */
	),
	TP_fast_assign(
		strscpy_pad(__entry->name, name, KMK_MEMPOOL_NAME_LEN);
		memset(__entry->block, 0, sizeof(__entry->block));
		snprintf(__entry->block, sizeof(__entry->block), "%p", block);
		__entry->what = what;
		memset(__entry->caller, 0, sizeof(__entry->caller));
		snprintf(__entry->caller, sizeof(__entry->caller), "%pS", (void *)caller);
	),
	TP_printk("name=%s block=%s what=\"%s\" caller=%s",
		  __entry->name, __entry->block,
		  __print_symbolic(__entry->what,
				   { KMK_MISUSE_FREE, "already free" },
				   { KMK_MISUSE_FOREIGN, "not of this pool" },
				   { KMK_MISUSE_ALIGN, "misaligned" },
				   { KMK_MISUSE_OVERRUN, "overrun" }),
		  __entry->caller)
);

#endif /* _MEMPOOL_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
