/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory order between the two sides of a split virtqueue, all in one place.
 * Each letter has two ends that pair up; they are named at every use.
 *
 *   A  driver: available entries  → available index     (store release)
 *      device: available index    → available entries   (load acquire)
 *   B  device: used entries, data → used index          (store release)
 *      driver: used index         → used entries, data  (load acquire)
 *   C  driver: available index    → wish for kicks      (full)
 *      device: wish for kicks     → available index     (full)
 *   D  device: used index         → wish for calls      (full)
 *      driver: wish for calls     → used index          (full)
 *
 * C and D are the sleep races: each side writes its own word, then reads the
 * other's; only a full barrier keeps both from reading the old value.
 */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

#include <stdint.h>

/* Ring memory is little-endian with VERSION_1, native without: callers convert. */

static inline uint16_t load_acquire16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store_release16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Words that the other side may write at any moment: one access, never torn or repeated. */
static inline uint16_t load_once16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint32_t load_once32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint64_t load_once64(const unsigned long long *p) /* as __u64 is */
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void store_once16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void store_once32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield" ::: "memory");
#endif
}

#endif
