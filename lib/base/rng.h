/* Random numbers that are a pure function of (seed, stream, how many were drawn): xoshiro256** seeded
 * by splitmix64 (Blackman and Vigna, prng.di.unimi.it). Not for secrets. */
#ifndef HONE_BASE_RNG_H
#define HONE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

/* What random numbers are for. Each use of one seed has a stream of its own: a purpose and a number within it. */
enum rng_purpose { RNG_ORDER, RNG_WEIGHTS, RNG_ADAPTER, RNG_DROPOUT, RNG_SAMPLING, RNG_BOOTSTRAP };

#define RNG_STREAM(purpose, n) ((uint64_t)(purpose) << 56 ^ (uint64_t)(n))

void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);  /* uniform in [0, n), n > 0, without bias */
double rng_uniform(struct rng *r);              /* uniform in [0, 1), 53 bits */
double rng_normal(struct rng *r);               /* mean 0, variance 1 */
void rng_shuffle(struct rng *r, uint32_t *v, size_t n);

#endif
