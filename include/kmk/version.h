/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KMK_VERSION_H
#define _KMK_VERSION_H

/* The one version of the collection; dkms.conf repeats it and a test compares. */
#define KMK_VERSION "0.2.0"

#endif /* _KMK_VERSION_H */
