/* SPDX-License-Identifier: GPL-2.0 */
/* For the headers of Linux 7.x: names that sparse 0.6.4 does not know. */
#define __typeof_unqual__ __typeof__
#define __builtin_strlen(string) (sizeof(string) - 1)
