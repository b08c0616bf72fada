/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vhost/proto.h"

typedef const struct vhost_user_msg_desc *(*lookup)(uint32_t id);

static void check_row(const struct vhost_user_msg_desc *d)
{
	assert_non_null(d);
	assert_true(strlen(d->name) > 0);
	assert_true(d->size_min <= d->size_max);
	assert_true(d->fds_min <= d->fds_max);
	assert_true(d->fds_max <= VHOST_USER_MAX_FDS);
	assert_true(d->reply_min <= d->reply_max);
	assert_true(d->size_max <= sizeof(union vhost_user_payload));
	if (!d->reply)
		assert_int_equal(d->reply_max + d->reply_fds_max, 0);
	assert_true(d->needs >= PROTO_NEEDS_ACCESS_PLATFORM);
	assert_true(d->needs <= VHOST_USER_PROTOCOL_F_SHMEM);
}

static void check_table(lookup row, uint32_t end)
{
	uint32_t a, b;

	assert_null(row(0));
	assert_null(row(end));
	assert_null(row(UINT32_MAX));
	for (a = 1; a < end; a++) {
		check_row(row(a));
		for (b = 1; b < a; b++)
			assert_string_not_equal(row(a)->name, row(b)->name);
	}
}

static void test_every_message_has_a_row(void **state)
{
	(void)state;
	check_table(proto_request, 45);
	check_table(proto_backend_request, 11);
}

/* The numbers of the specification, typed once more: a slip in an enum shifts all after it. */
static void test_numbers(void **state)
{
	static const struct {
		uint32_t id;
		const char *name;
	} known[] = {
		{1, "GET_FEATURES"},	   {5, "SET_MEM_TABLE"},     {8, "SET_VRING_NUM"},
		{11, "GET_VRING_BASE"},	   {13, "SET_VRING_CALL"},   {15, "GET_PROTOCOL_FEATURES"},
		{17, "GET_QUEUE_NUM"},	   {18, "SET_VRING_ENABLE"}, {20, "NET_SET_MTU"},
		{24, "GET_CONFIG"},	   {31, "GET_INFLIGHT_FD"},  {34, "RESET_DEVICE"},
		{36, "GET_MAX_MEM_SLOTS"}, {39, "SET_STATUS"},	     {44, "GET_SHMEM_CONFIG"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_string_equal(proto_request(known[i].id)->name, known[i].name);
	assert_string_equal(proto_backend_request(2)->name, "CONFIG_CHANGE_MSG");
	assert_string_equal(proto_backend_request(10)->name, "SHMEM_UNMAP");
	assert_int_equal(VHOST_USER_PROTOCOL_F_CONFIG, 9);
	assert_int_equal(VHOST_USER_PROTOCOL_F_STATUS, 16);
}

static void test_sizes(void **state)
{
	const struct vhost_user_msg_desc *d = proto_request(VHOST_USER_SET_MEM_TABLE);

	(void)state;
	assert_int_equal(d->size_min, 40);
	assert_int_equal(d->size_max, 264);
	assert_int_equal(d->fds_min, 1);
	assert_int_equal(d->fds_max, 8);
	d = proto_request(VHOST_USER_GET_CONFIG);
	assert_int_equal(d->size_min, 12);
	assert_int_equal(d->size_max, 268);
	assert_true(d->reply);
	assert_int_equal(d->reply_min, 0);
	assert_int_equal(d->needs, VHOST_USER_PROTOCOL_F_CONFIG);
	d = proto_request(VHOST_USER_SET_VRING_ADDR);
	assert_int_equal(d->size_min, 40);
	assert_false(d->reply);
	d = proto_request(VHOST_USER_SET_VRING_ENABLE);
	assert_int_equal(d->needs, PROTO_NEEDS_PROTOCOL_FEATURES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_has_a_row),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
