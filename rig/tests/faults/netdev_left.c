// SPDX-License-Identifier: GPL-2.0
/* A network device stays. */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>

static struct net_device *device;

static netdev_tx_t planted_transmit(struct sk_buff *packet, struct net_device *to)
{
	to->stats.tx_packets++;
	dev_kfree_skb(packet);
	return NETDEV_TX_OK;
}

static const struct net_device_ops planted_ops = { .ndo_start_xmit = planted_transmit };

static void planted_setup(struct net_device *new)
{
	ether_setup(new);
	new->netdev_ops = &planted_ops;
	eth_hw_addr_random(new);
}

static int __init planted_init(void)
{
	int error;

	device = alloc_netdev(0, "planted%d", NET_NAME_UNKNOWN, planted_setup);
	if (!device)
		return -ENOMEM;
	error = register_netdev(device);
	if (error)
		free_netdev(device);
	return error;
}

static void __exit planted_exit(void)
{
#if !FAULT
	unregister_netdev(device);
	free_netdev(device);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
