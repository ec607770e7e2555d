#include "base/rng.h"

#include <math.h>

static uint64_t
splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (-k & 63);  /* k may be 0 */
}

void
rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t x = seed, y = stream ^ 0x6a09e667f3bcc909u;
	uint64_t mix = splitmix(&y);
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&x) ^ rotl(mix, 16 * i);
	if (!(r->s[0] | r->s[1] | r->s[2] | r->s[3]))
		r->s[0] = 1;  /* the all-zero state is the one that never leaves itself */
	for (int i = 0; i < 8; i++)
		rng_u64(r);
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
	uint64_t reject = -n % n, x;  /* 2^64 mod n values would be too many */
	do
		x = rng_u64(r);
	while (x < reject);
	return x % n;
}

double
rng_uniform(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double
rng_normal(struct rng *r)
{
	double u = 1.0 - rng_uniform(r), v = rng_uniform(r);  /* Box and Muller; u > 0 */
	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void
rng_shuffle(struct rng *r, uint32_t *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = rng_below(r, i);
		uint32_t t = v[i - 1];
		v[i - 1] = v[j];
		v[j] = t;
	}
}
