#include "model/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

void
sampler_init(struct sampler *s, double temperature, int top_k, double top_p, uint64_t seed)
{
	*s = (struct sampler){.temperature = temperature, .top_k = top_k, .top_p = top_p};
	rng_init(&s->rng, seed, RNG_STREAM(RNG_SAMPLING, 0));
}

void
sampler_release(struct sampler *s)
{
	free(s->candidate);
	s->candidate = NULL;
}

static int32_t
most_probable(const float *logits, int V)
{
	int32_t best = 0;
	for (int v = 1; v < V; v++)
		if (logits[v] > logits[best])
			best = v;
	return best;
}

/* ---- selection: only as much order as the question needs (Hoare's quickselect) ---- */

/* A total order: ids differ. */
static bool
before(const struct candidate *a, const struct candidate *b)
{
	return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void
swap(struct candidate *a, struct candidate *b)
{
	struct candidate c = *a;
	*a = *b;
	*b = c;
}

/* Brings the median of the first, the middle and the last to the end. */
static void
choose_pivot(struct candidate *c, int n)
{
	struct candidate *first = c, *middle = c + n / 2, *last = c + n - 1;
	if (before(middle, first))
		swap(middle, first);
	if (before(last, first))
		swap(last, first);
	if (before(middle, last))
		swap(middle, last);
}

/* Those before the pivot in front of it, all others behind it; returns its place, and the weight of those before it. */
static int
partition(struct candidate *c, int n, double *weight)
{
	int m = 0;
	choose_pivot(c, n);
	*weight = 0;
	for (int i = 0; i < n - 1; i++)
		if (before(&c[i], &c[n - 1])) {
			*weight += c[i].weight;
			swap(&c[i], &c[m++]);
		}
	swap(&c[m], &c[n - 1]);
	return m;
}

/* Puts the k first, 0 < k < n, to the front. */
static void
select_first(struct candidate *c, int n, int k)
{
	double weight;
	for (int lo = 0, hi = n; hi - lo > 1;) {
		int m = lo + partition(c + lo, hi - lo, &weight);
		if (m < k)
			lo = m + 1;
		if (m >= k)
			hi = m;
	}
}

/* How many, from the first on, it takes to reach a weight (or, if `beyond`, to exceed it): these are put to the front,
 * the last of them at the end. All when the weight is out of reach, or no number. *reached is what they weigh. */
static int
select_weight(struct candidate *c, int n, double weight, bool beyond, double *reached)
{
	double sum = 0, part;
	int lo = 0, hi = n;
	while (lo < hi) {
		int m = lo + partition(c + lo, hi - lo, &part);
		double without = sum + part, with = without + c[m].weight;
		if (beyond ? without > weight : without >= weight) {
			hi = m;
			continue;
		}
		*reached = sum = with;
		lo = m + 1;
		if (beyond ? with > weight : with >= weight)
			break;
	}
	return lo;
}

/* ---- drawing ---- */

static double
weigh(struct candidate *c, int n, double temperature)
{
	double sum = 0;
	float max = c[0].logit;
	for (int i = 1; i < n; i++)
		max = c[i].logit > max ? c[i].logit : max;
#pragma omp parallel for schedule(static) if (n > 4096)
	for (int i = 0; i < n; i++)
		c[i].weight = exp((double)(c[i].logit - max) / temperature);
	for (int i = 0; i < n; i++)
		sum += c[i].weight;
	return sum;
}

int32_t
sampler_choose(struct sampler *s, const float *logits, int V)
{
	if (s->temperature == 0)
		return most_probable(logits, V);
	if (!s->candidate)
		s->candidate = xreallocarray(NULL, (size_t)V, sizeof *s->candidate);
	struct candidate *c = s->candidate;
	int n = V;
	for (int v = 0; v < V; v++)
		c[v] = (struct candidate){logits[v], v, 0};
	if (s->top_k > 0 && s->top_k < V) {
		n = s->top_k;
		select_first(c, V, n);
	}
	double total = weigh(c, n, s->temperature);
	if (s->top_p < 1)
		n = select_weight(c, n, s->top_p * total, false, &total);
	n = select_weight(c, n, rng_uniform(&s->rng) * total, true, &total);
	return c[n - 1].id;
}
