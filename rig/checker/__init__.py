# SPDX-License-Identifier: GPL-2.0
"""What rig/check is made of."""
