#include "fmt/record.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "fmt/le.h"

static const uint32_t no_label = UINT32_MAX;

void
record_release(struct record *r)
{
	free(r->ids);
	free(r->spans);
	*r = (struct record){0};
}

/* ---- checking ---- */

static int
check_label(const char *s, uint32_t n, struct err *e)
{
	if (n > EXAMPLE_MAX_LABEL)
		return err_set(e, ERR_DATA, "a label of %u bytes; at most %d are allowed", n, EXAMPLE_MAX_LABEL);
	for (uint32_t i = 0; i < n;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i, n - i, &c);
		if (k <= 0)
			return err_set(e, ERR_DATA, "the label is not UTF-8 at its byte %u", i);
		if (c == 0)
			return err_set(e, ERR_DATA, "the label holds a NUL at its byte %u", i);
		i += (uint32_t)k;
	}
	return 0;
}

static int
check_spans(const struct example *x, struct err *e)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < x->n_spans; i++) {
		const struct span *s = &x->spans[i];
		if (!isfinite(s->weight) || signbit(s->weight))
			return err_set(e, ERR_DATA, "span %u has the weight %g, not a finite one of at least 0", i,
				s->weight);
		total += s->n;
	}
	if (total != x->n)
		return err_set(e, ERR_DATA, "spans cover %llu tokens of %u", (unsigned long long)total, x->n);
	return 0;
}

static int
check_ids(const struct example *x, int64_t vocab_size, struct err *e)
{
	bool known = vocab_size > 0 && vocab_size <= INT32_MAX;
	uint32_t limit = known ? (uint32_t)vocab_size : (uint32_t)INT32_MAX + 1;
	for (uint32_t i = 0; i < x->n; i++) {
		if (x->ids[i] < 0)
			return err_set(e, ERR_DATA, "token %u has the negative id %d", i, x->ids[i]);
		if ((uint32_t)x->ids[i] >= limit)
			return err_set(e, ERR_DATA, "token %u has the id %d, and the vocabulary ends at %u", i, x->ids[i],
				limit - 1);
	}
	return 0;
}

int
record_check(const struct example *x, int64_t vocab_size, struct err *e)
{
	if (x->n == 0)
		return err_set(e, ERR_DATA, "it has no tokens");
	if (x->n > EXAMPLE_MAX_TOKENS)
		return err_set(e, ERR_DATA, "%u tokens; at most %d are allowed", x->n, EXAMPLE_MAX_TOKENS);
	if (x->completion > x->n)
		return err_set(e, ERR_DATA, "the completion begins at token %u of %u", x->completion, x->n);
	if (check_spans(x, e) < 0 || check_ids(x, vocab_size, e) < 0)
		return -1;
	return x->label ? check_label(x->label, x->label_len, e) : 0;
}

/* ---- encoding ---- */

static void
put32(struct buf *b, uint32_t v)
{
	uint8_t p[4];
	le32_put(p, v);
	buf_append(b, p, sizeof p);
}

/* The span that starts at *i with what it can be joined to; *i moves behind it. False at the end. */
static bool
next_span(const struct example *x, uint32_t *i, struct span *s)
{
	while (*i < x->n_spans && x->spans[*i].n == 0)
		++*i;
	if (*i == x->n_spans)
		return false;
	*s = x->spans[(*i)++];
	for (; *i < x->n_spans && (x->spans[*i].n == 0 || x->spans[*i].weight == s->weight); ++*i)
		s->n += x->spans[*i].n;
	return true;
}

static void
put_span(struct buf *b, const struct span *s)
{
	uint32_t bits;
	float weight = s->weight == 0 ? 0.0f : s->weight;  /* one zero, without a sign */
	memcpy(&bits, &weight, sizeof bits);
	put32(b, s->n);
	put32(b, bits);
}

static void
put_ids(struct buf *b, const int32_t *ids, uint32_t n)
{
	uint8_t p[1024];
	while (n) {
		uint32_t k = n < sizeof p / 4 ? n : sizeof p / 4;
		for (uint32_t i = 0; i < k; i++)
			le32_put(p + 4 * i, (uint32_t)ids[i]);
		buf_append(b, p, 4 * k);
		ids += k;
		n -= k;
	}
}

void
record_encode(const struct example *x, struct buf *b)
{
	uint32_t n_spans = 0, covered = 0, label_len = x->label ? x->label_len : 0;
	struct span s;
	for (uint32_t i = 0; next_span(x, &i, &s); n_spans++)
		covered += s.n;
	assert(x->n && covered == x->n);

	put32(b, RECORD_FIXED + 8 * n_spans + 4 * x->n + label_len);
	put32(b, x->n);
	put32(b, n_spans);
	put32(b, x->completion);
	put32(b, x->label ? x->label_len : no_label);
	put32(b, (uint32_t)x->line);
	put32(b, (uint32_t)(x->line >> 32));
	for (uint32_t i = 0; next_span(x, &i, &s);)
		put_span(b, &s);
	put_ids(b, x->ids, x->n);
	buf_append(b, x->label, label_len);
}

/* ---- decoding ---- */

static int
decode_spans(struct span *spans, uint32_t n, const uint8_t *p, struct err *e)
{
	for (uint32_t i = 0; i < n; i++, p += 8) {
		uint32_t bits = le32_get(p + 4);
		spans[i].n = le32_get(p);
		memcpy(&spans[i].weight, &bits, sizeof bits);
		if (spans[i].n == 0)
			return err_set(e, ERR_DATA, "span %u is empty", i);
		if (i && spans[i].weight == spans[i - 1].weight)
			return err_set(e, ERR_DATA, "spans %u and %u have one weight and are not joined", i - 1, i);
	}
	return 0;
}

int
record_decode(struct record *r, const uint8_t *body, size_t n, int64_t vocab_size, struct example *x,
	struct err *e)
{
	if (n < RECORD_FIXED)
		return err_set(e, ERR_DATA, "its body has %zu bytes, too few for a record", n);
	*x = (struct example){
		.n = le32_get(body),
		.n_spans = le32_get(body + 4),
		.completion = le32_get(body + 8),
		.line = le64_get(body + 16),
	};
	uint32_t label_len = le32_get(body + 12);
	uint64_t want = RECORD_FIXED + 8 * (uint64_t)x->n_spans + 4 * (uint64_t)x->n +
		(label_len == no_label ? 0 : label_len);
	if (want != n || x->n_spans > x->n)
		return err_set(e, ERR_DATA, "its body has %zu bytes, and %u tokens in %u spans do not fit that", n,
			x->n, x->n_spans);

	const uint8_t *p = body + RECORD_FIXED;
	GROW(r->spans, r->spans_cap, x->n_spans);
	if (decode_spans(r->spans, x->n_spans, p, e) < 0)
		return -1;
	p += 8 * (size_t)x->n_spans;
	GROW(r->ids, r->ids_cap, x->n);
	for (uint32_t i = 0; i < x->n; i++, p += 4)
		r->ids[i] = (int32_t)le32_get(p);
	if (label_len != no_label) {
		x->label = (const char *)p;
		x->label_len = label_len;
	}
	x->ids = r->ids;
	x->spans = r->spans;
	return record_check(x, vocab_size, e);
}
