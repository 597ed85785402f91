/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmk_irq

#if !defined(_KMK_IRQ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KMK_IRQ_TRACE_H

#include <linux/tracepoint.h>

/* One interrupt, counted and kept; called in the context of its handler. */
TRACE_EVENT(kmk_irq_event,
	TP_PROTO(u32 irq, u64 seq, u64 data),

	TP_ARGS(irq, seq, data),

	TP_STRUCT__entry(
		__field(u64, seq)
		__field(u64, data)
		__field(u32, irq)
	),

	TP_fast_assign(
		__entry->seq = seq;
		__entry->data = data;
		__entry->irq = irq;
	),

	TP_printk("irq=%u seq=%llu data=%llu", __entry->irq,
		  __entry->seq, __entry->data)
);

#endif /* _KMK_IRQ_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
