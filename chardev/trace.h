/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: each write and each read that moved bytes. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmk_echo

#if !defined(_KMK_ECHO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KMK_ECHO_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(kmk_echo,
	TP_PROTO(bool fifo, size_t bytes, size_t length),
	TP_ARGS(fifo, bytes, length),
	TP_STRUCT__entry(
		__field(bool, fifo)
		__field(size_t, bytes)
		__field(size_t, length)
	),
	TP_fast_assign(
		__entry->fifo = fifo;
		__entry->bytes = bytes;
		__entry->length = length;
	),
	TP_printk("dev=%s bytes=%zu length=%zu",
		  __entry->fifo ? "echo_fifo" : "echo",
		  __entry->bytes, __entry->length)
);

/* @bytes were stored; the device holds @length now */
DEFINE_EVENT(kmk_echo, kmk_echo_write,
	TP_PROTO(bool fifo, size_t bytes, size_t length),
	TP_ARGS(fifo, bytes, length)
);

/* @bytes were handed over; the device holds @length now */
DEFINE_EVENT(kmk_echo, kmk_echo_read,
	TP_PROTO(bool fifo, size_t bytes, size_t length),
	TP_ARGS(fifo, bytes, length)
);

#endif /* _KMK_ECHO_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
