/* Attention against three loops in double precision: documents of many lengths, grouped queries, windows, prefixes. */
#include "numeric.h"

#include "math/attention.h"
#include "math/gemm.h"

enum { MAX_LEN = 300, MAX_DOCS = 16 };

/* A set of documents over `rows` rows of q, k and v. */
struct problem {
	struct attn_shape s;
	struct attn_doc doc[MAX_DOCS];
	int n_docs, rows;
	float *q, *k, *v, *out, *lse, *scratch;
	double *q_, *k_, *v_, *dout_;  /* the inputs again, for the reference */
};

static size_t
q_size(const struct problem *p)
{
	return (size_t)(p->rows * p->s.H * p->s.D);
}

static size_t
k_size(const struct problem *p)
{
	return (size_t)(p->rows * p->s.K * p->s.D);
}

/* Row of the key at place j of a document, its prefix first. */
static int
key_row(const struct attn_doc *d, int j)
{
	if (j < d->n_prefix && d->back)
		return key_row(d - d->back, j);
	return j < d->n_prefix ? d->prefix + j : d->k + j - d->n_prefix;
}

/* out[D] of query i of a document; returns the log-sum-exp. */
static double
reference_query(const struct problem *p, const struct attn_doc *d, int h, int i, double *out)
{
	const struct attn_shape *s = &p->s;
	double weight[MAX_LEN], max = -INFINITY, sum = 0;
	int place = d->n_prefix + i, first = s->window && place - s->window + 1 > 0 ? place - s->window + 1 : 0;
	int head = h / (s->H / s->K);
	const double *q = p->q_ + (ptrdiff_t)((d->q + i) * s->H + h) * s->D;
	for (int j = first; j <= place; j++) {
		const double *k = p->k_ + (ptrdiff_t)(key_row(d, j) * s->K + head) * s->D;
		weight[j] = 0;
		for (int c = 0; c < s->D; c++)
			weight[j] += (double)s->scale * q[c] * k[c];
		max = fmax(max, weight[j]);
	}
	for (int j = first; j <= place; j++)
		sum += exp(weight[j] - max);
	for (int c = 0; c < s->D; c++)
		out[c] = 0;
	for (int j = first; j <= place; j++)
		for (int c = 0; c < s->D; c++)
			out[c] += exp(weight[j] - max) / sum * p->v_[(ptrdiff_t)(key_row(d, j) * s->K + head) * s->D + c];
	return max + log(sum);
}

/* Documents of these lengths one after the other, with a row between them that belongs to none. */
static void
make_problem(struct problem *p, const int *lengths, int n, int H, int K, int D, int window)
{
	*p = (struct problem){.s = {H, K, D, 1 / sqrtf((float)D), window}, .n_docs = n};
	for (int i = 0; i < n; i++) {
		p->doc[i] = (struct attn_doc){.q = p->rows, .k = p->rows, .n = lengths[i]};
		p->rows += lengths[i] + 1;
	}
}

static void
fill_problem(struct problem *p)
{
	p->q = random_floats(q_size(p), 1.5, 1);
	p->k = random_floats(k_size(p), 1.5, 2);
	p->v = random_floats(k_size(p), 1, 3);
	p->out = random_floats(q_size(p), 1, 4);
	p->lse = random_floats((size_t)(p->rows * p->s.H), 1, 5);
	p->scratch = random_floats(attention_scratch(&p->s, NUM_F32, p->rows, MAX_LEN, math_threads()), 1, 6);
	p->q_ = to_double(p->q, q_size(p));
	p->k_ = to_double(p->k, k_size(p));
	p->v_ = to_double(p->v, k_size(p));
}

static struct heads
q_heads(const struct problem *p, float *x)
{
	return (struct heads){rows_f32(x, p->s.H * p->s.D), p->s.D};
}

static struct heads
k_heads(const struct problem *p, float *x)
{
	return (struct heads){rows_f32(x, p->s.K * p->s.D), p->s.D};
}

static void
forward(struct problem *p, float *out, float *lse)
{
	const struct attn a = {q_heads(p, p->q), k_heads(p, p->k), k_heads(p, p->v), q_heads(p, out)};
	attention_forward(&a, lse, p->doc, p->n_docs, &p->s, MAX_LEN, p->scratch);
}

static void
check_forward(struct problem *p)
{
	double want[128];
	float *before = copy_floats(p->out, q_size(p));
	bool *written = hold(xcalloc((size_t)p->rows, sizeof *written));
	forward(p, p->out, p->lse);
	for (int d = 0; d < p->n_docs; d++)
		for (int i = 0; i < p->doc[d].n; i++)
			for (int h = 0; h < p->s.H; h++) {
				int at = (p->doc[d].q + i) * p->s.H + h;
				double lse = reference_query(p, &p->doc[d], h, i, want);
				assert_all_near(p->out + (ptrdiff_t)at * p->s.D, want, (size_t)p->s.D, 1e-5);
				assert_near((double)p->lse[at], lse, 1e-5 * (1 + fabs(lse)));
				written[p->doc[d].q + i] = true;
			}
	for (int row = 0; row < p->rows; row++)
		if (!written[row])
			assert_same_floats(p->out + (ptrdiff_t)row * p->s.H * p->s.D, before + (ptrdiff_t)row * p->s.H * p->s.D,
				(size_t)(p->s.H * p->s.D));
	float *without_lse = random_floats(q_size(p), 1, 4);
	forward(p, without_lse, NULL);
	assert_same_floats(without_lse, p->out, q_size(p));
}

static const int lengths[] = {1, 2, 3, 7, 13, 33, 63, 64, 65, 127, 150};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };
static const int heads[][3] = {{1, 1, 2}, {4, 2, 8}, {6, 2, 13}, {3, 1, 16}, {2, 2, 33}};
enum { N_HEADS = sizeof heads / sizeof *heads };
static const int windows[] = {0, 1, 2, 5, 64, 70, 1000};
enum { N_WINDOWS = sizeof windows / sizeof *windows };

static void
test_forward(void **state)
{
	(void)state;
	for (int i = 0; i < N_HEADS; i++)
		for (int w = 0; w < N_WINDOWS; w++) {
			struct problem p;
			make_problem(&p, lengths, N_LENGTHS, heads[i][0], heads[i][1], heads[i][2], windows[w]);
			fill_problem(&p);
			check_forward(&p);
			release_all();
		}
}

/* Branches off one prompt, also with a part of it only and with queries that lie elsewhere than their keys. */
static void
test_prefixes(void **state)
{
	(void)state;
	for (int w = 0; w < N_WINDOWS; w++) {
		static const int n[] = {100, 1, 7, 70, 3};
		struct problem p;
		make_problem(&p, n, 5, 4, 2, 8, windows[w]);
		static const int prefix[] = {0, 100, 99, 64, 1};
		for (int d = 1; d < 5; d++)
			p.doc[d].n_prefix = prefix[d];
		p.doc[4].prefix = 17;
		p.doc[4].k += 1;
		fill_problem(&p);
		check_forward(&p);
		release_all();
	}
}

static void
test_threads_do_not_matter(void **state)
{
	(void)state;
	struct problem p;
	make_problem(&p, lengths, N_LENGTHS, 4, 2, 8, 5);
	math_set_threads(3);
	fill_problem(&p);
	float *again = copy_floats(p.out, q_size(&p));
	forward(&p, p.out, p.lse);
	math_set_threads(1);
	forward(&p, again, p.lse);
	assert_same_floats(again, p.out, q_size(&p));
	math_set_threads(0);
	release_all();
}

/* ---- backward ---- */

static double
loss(void *ctx)
{
	const struct problem *p = ctx;
	double out[128], sum = 0;
	for (int d = 0; d < p->n_docs; d++)
		for (int i = 0; i < p->doc[d].n; i++)
			for (int h = 0; h < p->s.H; h++) {
				reference_query(p, &p->doc[d], h, i, out);
				for (int c = 0; c < p->s.D; c++)
					sum += p->dout_[((p->doc[d].q + i) * p->s.H + h) * p->s.D + c] * out[c];
			}
	return sum;
}

struct gradients {
	float *dq, *dk, *dv, *dq0, *dk0, *dv0;
};

/* Gradients replace random numbers. */
static void
backward(struct problem *p, struct gradients *g, float *dout)
{
	const struct attn a = {q_heads(p, p->q), k_heads(p, p->k), k_heads(p, p->v), q_heads(p, p->out)};
	g->dq = copy_floats(g->dq0 = random_floats(q_size(p), 0.1, 11), q_size(p));
	g->dk = copy_floats(g->dk0 = random_floats(k_size(p), 0.1, 12), k_size(p));
	g->dv = copy_floats(g->dv0 = random_floats(k_size(p), 0.1, 13), k_size(p));
	const struct attn d = {q_heads(p, g->dq), k_heads(p, g->dk), k_heads(p, g->dv), q_heads(p, dout)};
	forward(p, p->out, p->lse);
	attention_backward(&d, &a, p->lse, p->doc, p->n_docs, &p->s, MAX_LEN, p->scratch);
}

/* The gradient by differences is 0 where no document is; there, the numbers must be as they were. */
static void
expect_untouched_between(const struct problem *p, float *now, float *before, int width)
{
	bool written[4096] = {0};
	for (int d = 0; d < p->n_docs; d++)
		for (int i = 0; i < p->doc[d].n; i++)
			written[p->doc[d].q + i] = true;
	for (int row = 0; row < p->rows; row++)
		for (int c = 0; c < width; c++)
			if (written[row])
				before[(ptrdiff_t)row * width + c] = 0;
			else
				assert_true(now[(ptrdiff_t)row * width + c] == before[(ptrdiff_t)row * width + c]);
}

static void
check_backward(struct problem *p)
{
	struct gradients g;
	fill_problem(p);
	float *dout = random_floats(q_size(p), 1, 7);
	p->dout_ = to_double(dout, q_size(p));
	backward(p, &g, dout);
	expect_untouched_between(p, g.dq, g.dq0, p->s.H * p->s.D);
	expect_untouched_between(p, g.dk, g.dk0, p->s.K * p->s.D);
	expect_untouched_between(p, g.dv, g.dv0, p->s.K * p->s.D);
	assert_gradient(g.dq, g.dq0, p->q_, q_size(p), loss, p, 25, 2e-5);
	assert_gradient(g.dk, g.dk0, p->k_, k_size(p), loss, p, 25, 2e-5);
	assert_gradient(g.dv, g.dv0, p->v_, k_size(p), loss, p, 25, 2e-5);
	release_all();
}

static void
test_backward(void **state)
{
	(void)state;
	static const int n[] = {1, 2, 31, 7, 66};
	static const int some[] = {0, 1, 5, 64};
	for (int i = 0; i < N_HEADS; i++)
		for (size_t w = 0; w < sizeof some / sizeof *some; w++) {
			struct problem p;
			make_problem(&p, n, 5, heads[i][0], heads[i][1], heads[i][2], some[w]);
			check_backward(&p);
		}
}

/* Documents and what continues them, all of it, each right behind: two off one, of which the second has two of its own; and
 * another with one. */
static void
test_backward_of_branches(void **state)
{
	(void)state;
	static const int n[] = {70, 5, 66, 3, 1, 7, 2}, back[] = {0, 1, 2, 1, 2, 0, 1}, below[] = {75, 0, 4, 0, 0, 2, 0};
	for (int i = 0; i < N_HEADS; i++) {
		struct problem p;
		make_problem(&p, n, 7, heads[i][0], heads[i][1], heads[i][2], 0);
		for (int d = 0, row = 0; d < 7; row += n[d++]) {
			const struct attn_doc *parent = &p.doc[d - back[d]];
			p.doc[d] = (struct attn_doc){.q = row, .k = row, .n = n[d], .back = back[d], .below = below[d]};
			p.doc[d].n_prefix = back[d] ? parent->n_prefix + parent->n : 0;
		}
		check_backward(&p);
	}
}

static void
assert_rows_zero(const float *x, int row, int n, int width)
{
	for (ptrdiff_t i = (ptrdiff_t)row * width; i < (ptrdiff_t)(row + n) * width; i++)
		assert_true(x[i] == 0);
}

/* A gradient at the last query of the second document reaches that document's rows within the window, and nothing
 * else, not even by rounding. */
static void
test_nothing_leaks(void **state)
{
	(void)state;
	static const int n[] = {20, 90, 30};
	for (int w = 0; w < N_WINDOWS; w++) {
		struct problem p;
		struct gradients g;
		make_problem(&p, n, 3, 4, 2, 8, windows[w]);
		fill_problem(&p);
		float *dout = hold(xcalloc(q_size(&p), sizeof *dout));
		int last = p.doc[1].q + 89, seen = windows[w] && windows[w] < 90 ? windows[w] : 90;
		int Q = p.s.H * p.s.D, K = p.s.K * p.s.D;
		for (int c = 0; c < Q; c++)
			dout[(ptrdiff_t)last * Q + c] = 1;
		backward(&p, &g, dout);
		assert_rows_zero(g.dq, p.doc[1].q, 89, Q);
		assert_rows_zero(g.dq, p.doc[2].q, 30, Q);
		assert_rows_zero(g.dk, 0, 20, K);
		assert_rows_zero(g.dk, p.doc[1].q, 90 - seen, K);
		assert_rows_zero(g.dk, p.doc[2].q, 30, K);
		assert_rows_zero(g.dv, 0, 20, K);
		assert_rows_zero(g.dv, p.doc[1].q, 90 - seen, K);
		assert_rows_zero(g.dv, p.doc[2].q, 30, K);
		assert_memory_not_equal(g.dv + (ptrdiff_t)last * K, g.dv0 + (ptrdiff_t)last * K, (size_t)K * sizeof(float));
		release_all();
	}
}

/* A document, a branch, a branch off the branch, one off that beyond a block, and one that leaves it early. */
static void
test_branches_off_branches(void **state)
{
	(void)state;
	static const int n[] = {70, 5, 66, 3, 1, 7}, window[] = {0, 9, 80};
	for (size_t w = 0; w < sizeof window / sizeof *window; w++) {
		struct problem p;
		make_problem(&p, n, 6, 4, 2, 8, window[w]);
		p.doc[1].prefix = p.doc[0].q;
		p.doc[1].n_prefix = 67;
		p.doc[2].n_prefix = 69, p.doc[2].back = 1;
		p.doc[3].n_prefix = 130, p.doc[3].back = 1;
		p.doc[4].n_prefix = 68, p.doc[4].back = 2;
		p.doc[5].n_prefix = 132, p.doc[5].back = 2;
		fill_problem(&p);
		check_forward(&p);
		release_all();
	}
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_branches_off_branches),
		cmocka_unit_test(test_threads_do_not_matter),
		cmocka_unit_test(test_backward),
		cmocka_unit_test(test_backward_of_branches),
		cmocka_unit_test(test_nothing_leaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
