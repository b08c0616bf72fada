/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ethtool shows of an interface, for those that have no hardware to ask. */
#ifndef NET_ETHTOOL_H
#define NET_ETHTOOL_H

/*
 * Sets the speed that interface @name of this network namespace reports, in Mbit/s, full
 * duplex. 0 or -errno; -EOPNOTSUPP where its driver keeps none (veth).
 */
int ethtool_set_speed(const char *name, unsigned int mbps);

#endif
