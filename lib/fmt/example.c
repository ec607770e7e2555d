#include "fmt/example.h"

#include <math.h>

#include "base/hash.h"
#include "fmt/le.h"

uint32_t
example_targets(const struct example *x)
{
	uint32_t targets = 0;
	for (uint32_t i = 0; i < x->n_spans; i++)
		if (x->spans[i].weight > 0)
			targets += x->spans[i].n;
	return targets - (x->n_spans && x->spans[0].weight > 0);
}

bool
example_next_target(const struct example *x, struct target *t)
{
	const uint32_t next = t->at + 1;
	for (; t->span < x->n_spans; t->begin += x->spans[t->span++].n) {
		const struct span *s = &x->spans[t->span];
		uint32_t at = next > t->begin ? next : t->begin;
		if (s->weight <= 0 || at >= t->begin + s->n)
			continue;
		t->at = at;
		t->weight = s->weight;
		return true;
	}
	return false;
}

double
example_place(const struct example *x, struct buf *bytes)
{
	buf_clear(bytes);
	for (uint32_t i = 0; i < x->n; i++) {
		uint8_t id[4];
		le32_put(id, (uint32_t)x->ids[i]);
		buf_append(bytes, id, sizeof id);
	}
	return ldexp((double)XXH3_64bits(bytes->data, bytes->len), -64);
}

static uint32_t
clamp(uint32_t v, uint32_t low, uint32_t high)
{
	return v < low ? low : v > high ? high : v;
}

struct example
example_slice(const struct example *x, uint32_t from, uint32_t to, struct span *spans)
{
	struct example s = *x;
	s.ids = x->ids + from;
	s.n = to - from;
	s.completion = clamp(x->completion, from, to) - from;
	s.spans = spans;
	s.n_spans = 0;
	uint32_t at = 0;
	for (uint32_t i = 0; i < x->n_spans; i++) {
		uint32_t end = at + x->spans[i].n;
		uint32_t n = clamp(end, from, to) - clamp(at, from, to);
		if (n)
			spans[s.n_spans++] = (struct span){n, x->spans[i].weight};
		at = end;
	}
	return s;
}
