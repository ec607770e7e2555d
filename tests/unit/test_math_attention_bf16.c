/* Attention over bf16 rows against that over fp32 rows of the same numbers, which test_math_attention.c holds against
 * its definition; on every kernel that this processor has, on emulated tiles, and by BLAS. */
#include "bf16_kernels.h"
#include "numeric.h"

#include "math/attention.h"
#include "math/gemm.h"

enum { MAX_LEN = 1500, MAX_DOCS = 8 };

/* Documents over `rows` rows, all of q, k and v in one row of fp32 and of bf16. */
struct problem {
	struct attn_shape s;
	struct attn_doc doc[MAX_DOCS];
	int n_docs, rows, max_len;
	float *x, *out, *dout, *dx, *lse;          /* fp32: x and dx [rows,(H+2K)D], out and dout [rows,HD] */
	uint16_t *hx, *hout, *hdout, *hdx;         /* bf16 */
	float *hlse, *scratch;
};

static int
width(const struct problem *p)
{
	return (p->s.H + 2 * p->s.K) * p->s.D;
}

static void
make(struct problem *p, const int *lengths, int n, int H, int K, int D, int window)
{
	*p = (struct problem){.s = {H, K, D, 1 / sqrtf((float)D), window}, .n_docs = n, .max_len = MAX_LEN};
	for (int i = 0; i < n; i++) {
		p->doc[i] = (struct attn_doc){.q = p->rows, .k = p->rows, .n = lengths[i]};
		p->rows += lengths[i];
	}
}

static uint16_t *
halves(float *x, size_t n)
{
	uint16_t *h = hold(xreallocarray(NULL, n, sizeof *h));
	for (size_t i = 0; i < n; i++)
		x[i] = bf16_to_f32(h[i] = bf16_from_f32(x[i]));
	return h;
}

static void
fill(struct problem *p)
{
	size_t nx = (size_t)(p->rows * width(p)), no = (size_t)(p->rows * p->s.H * p->s.D);
	p->hx = halves(p->x = random_floats(nx, 1.5, 1), nx);
	p->hdout = halves(p->dout = random_floats(no, 1, 2), no);
	p->hdx = halves(p->dx = random_floats(nx, 1, 3), nx);
	p->hout = halves(p->out = random_floats(no, 1, 4), no);
	p->lse = random_floats((size_t)(p->rows * p->s.H), 1, 5);
	p->hlse = copy_floats(p->lse, (size_t)(p->rows * p->s.H));
	size_t a = attention_scratch(&p->s, NUM_BF16, p->rows, p->max_len, math_threads());
	size_t b = attention_scratch(&p->s, NUM_F32, p->rows, p->max_len, math_threads());
	p->scratch = hold(xreallocarray(NULL, a > b ? a : b, sizeof(float)));
}

static struct heads
heads(struct rows r, int first, int D)
{
	return (struct heads){rows_at(r, 0, first * D), D};
}

static struct attn
views(const struct problem *p, struct rows x, struct rows out)
{
	int D = p->s.D;
	return (struct attn){heads(x, 0, D), heads(x, p->s.H, D), heads(x, p->s.H + p->s.K, D), heads(out, 0, D)};
}

static struct rows
bf16(const struct problem *p, uint16_t *x, bool out)
{
	return (struct rows){x, out ? p->s.H * p->s.D : width(p), NUM_BF16};
}

static void
forward(struct problem *p, bool half)
{
	struct attn a = half ? views(p, bf16(p, p->hx, false), bf16(p, p->hout, true))
		: views(p, rows_f32(p->x, width(p)), rows_f32(p->out, p->s.H * p->s.D));
	attention_forward(&a, half ? p->hlse : p->lse, p->doc, p->n_docs, &p->s, p->max_len, p->scratch);
}

static void
backward(struct problem *p, bool half)
{
	struct attn a = half ? views(p, bf16(p, p->hx, false), bf16(p, p->hout, true))
		: views(p, rows_f32(p->x, width(p)), rows_f32(p->out, p->s.H * p->s.D));
	struct attn d = half ? views(p, bf16(p, p->hdx, false), bf16(p, p->hdout, true))
		: views(p, rows_f32(p->dx, width(p)), rows_f32(p->dout, p->s.H * p->s.D));
	attention_backward(&d, &a, half ? p->hlse : p->lse, p->doc, p->n_docs, &p->s, p->max_len, p->scratch);
}

/* Probabilities and results are rounded once each, by up to 2^-8 of themselves: so an element is within 2^-7 of the sum
 * of P |v|. */
static void
check_forward(struct problem *p)
{
	size_t no = (size_t)(p->rows * p->s.H * p->s.D);
	forward(p, false);
	forward(p, true);
	float *out = copy_floats(p->out, no);
	for (int r = 0; r < p->rows; r++)
		for (int c = (p->s.H + p->s.K) * p->s.D; c < width(p); c++)
			p->x[r * width(p) + c] = fabsf(p->x[r * width(p) + c]);
	forward(p, false);
	for (size_t i = 0; i < no; i++)
		assert_near((double)bf16_to_f32(p->hout[i]), (double)out[i], (double)p->out[i] / 128 + 1e-6);
	for (int i = 0; i < p->rows * p->s.H; i++)
		assert_near((double)p->hlse[i], (double)p->lse[i], 1e-5 * (1 + fabs((double)p->lse[i])));
}

/* What is rounded on the way (probabilities, their gradients, outputs, results) is so by at most 2^-8 of itself each;
 * the errors are independent, so in the norm of a whole gradient less than 2^-6 is left. */
static void
check_backward(struct problem *p)
{
	forward(p, false);
	forward(p, true);
	backward(p, false);
	backward(p, true);
	int part[] = {0, p->s.H * p->s.D, (p->s.H + p->s.K) * p->s.D, width(p)};
	for (int k = 0; k < 3; k++) {
		double error = 0, size = 0;
		for (int r = 0; r < p->rows; r++)
			for (int c = part[k]; c < part[k + 1]; c++) {
				double want = (double)p->dx[r * width(p) + c], got = (double)bf16_to_f32(p->hdx[r * width(p) + c]);
				error += (got - want) * (got - want);
				size += want * want;
			}
		assert_true(sqrt(error) <= sqrt(size) / 64 + 1e-4);  /* with a window of 1, those of q and k are zero */
	}
}

static const int lengths[] = {1, 5, 31, 64, 65, 100, 200};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };
static const int head_counts[][3] = {{1, 1, 2}, {4, 2, 8}, {6, 2, 13}, {3, 1, 64}, {2, 2, 33}};
enum { N_HEADS = sizeof head_counts / sizeof *head_counts };
static const int windows[] = {0, 1, 7, 64, 70};
enum { N_WINDOWS = sizeof windows / sizeof *windows };

static void
test_shapes(void **state)
{
	(void)state;
	for (int i = 0; i < N_HEADS; i++)
		for (int w = 0; w < N_WINDOWS; w++) {
			struct problem p;
			make(&p, lengths, N_LENGTHS, head_counts[i][0], head_counts[i][1], head_counts[i][2], windows[w]);
			fill(&p);
			check_forward(&p);
			release_all();
			make(&p, lengths, N_LENGTHS, head_counts[i][0], head_counts[i][1], head_counts[i][2], windows[w]);
			fill(&p);
			check_backward(&p);
			release_all();
		}
}

/* Documents of several chunks of keys, with a running maximum; also with a window that leaves whole chunks out. */
static void
test_long(void **state)
{
	(void)state;
	static const int n[] = {1300, 3};
	static const int some[] = {0, 40, 600};
	for (size_t w = 0; w < sizeof some / sizeof *some; w++) {
		struct problem p;
		make(&p, n, 2, 2, 1, 16, some[w]);
		fill(&p);
		check_forward(&p);
		release_all();
		make(&p, n, 2, 2, 1, 16, some[w]);
		fill(&p);
		check_backward(&p);
		release_all();
	}
}

/* Branches off one prompt, of few tokens and of more, also of a part of it only. */
static void
test_prefixes(void **state)
{
	(void)state;
	static const int n[] = {100, 1, 7, 70, 3}, prefix[] = {0, 100, 99, 64, 1};
	for (int w = 0; w < N_WINDOWS; w++) {
		struct problem p;
		make(&p, n, 5, 4, 2, 8, windows[w]);
		for (int d = 1; d < 5; d++)
			p.doc[d].n_prefix = prefix[d];
		p.doc[4].prefix = 17;
		fill(&p);
		check_forward(&p);
		release_all();
	}
}

/* A branch, one off it beyond a block, one off that of a few rows, one that leaves it early. */
static void
test_branches_off_branches(void **state)
{
	(void)state;
	static const int n[] = {70, 5, 66, 3, 70}, prefix[] = {0, 67, 69, 130, 68}, back[] = {0, 0, 1, 1, 2};
	for (int w = 0; w < N_WINDOWS; w++) {
		struct problem p;
		make(&p, n, 5, 4, 2, 8, windows[w]);
		for (int d = 1; d < 5; d++) {
			p.doc[d].n_prefix = prefix[d];
			p.doc[d].back = back[d];
		}
		fill(&p);
		check_forward(&p);
		release_all();
	}
}

/* Documents that continue all of what they branch off, right behind it: for the first, queries are more than are taken at a
 * time; the second's own keys are more than one group. */
static void
make_branches(struct problem *p, int H, int K, int D)
{
	static const int n[] = {100, 300, 3, 70, 150, 7, 40}, back[] = {0, 1, 1, 2, 4, 0, 1}, below[] = {523, 73, 0, 0, 0, 40, 0};
	make(p, n, 7, H, K, D, 0);
	p->max_len = 470;
	for (int d = 0; d < 7; d++) {
		const struct attn_doc *parent = &p->doc[d - back[d]];
		p->doc[d].back = back[d];
		p->doc[d].below = below[d];
		p->doc[d].n_prefix = back[d] ? parent->n_prefix + parent->n : 0;
	}
}

static void
test_backward_of_branches(void **state)
{
	(void)state;
	for (int i = 0; i < N_HEADS; i++) {
		struct problem p;
		make_branches(&p, head_counts[i][0], head_counts[i][1], head_counts[i][2]);
		fill(&p);
		check_backward(&p);
		release_all();
	}
}

/* Heads as wide as they may be: a document's keys, turned, are more than a thread's scratch holds. */
static void
test_wide_heads(void **state)
{
	(void)state;
	static const int n[] = {70};
	struct problem p;
	make(&p, n, 1, 1, 1, ATTN_HEAD_MAX, 0);
	fill(&p);
	check_forward(&p);
	release_all();
	fill(&p);
	check_backward(&p);
	release_all();
}

static void
expect_threads_do_not_matter(struct problem *p)
{
	static const int threads[] = {1, 3, 16};
	uint16_t *out = NULL, *dx = NULL;
	size_t nx = (size_t)(p->rows * width(p)), no = (size_t)(p->rows * p->s.H * p->s.D);
	for (int t = 0; t < 3; t++) {
		math_set_threads(threads[t]);
		fill(p);
		forward(p, true);
		backward(p, true);
		if (out) {
			assert_memory_equal(out, p->hout, no * sizeof *out);
			assert_memory_equal(dx, p->hdx, nx * sizeof *dx);
		}
		out = p->hout;
		dx = p->hdx;
	}
	math_set_threads(0);
	release_all();
}

static void
test_threads_do_not_matter(void **state)
{
	(void)state;
	struct problem p;
	make(&p, lengths, N_LENGTHS, 6, 2, 16, 0);
	expect_threads_do_not_matter(&p);
	make_branches(&p, 6, 2, 16);
	expect_threads_do_not_matter(&p);
}

/* The same with each kernel, and with BLAS. Tiles must be configured where they are used: the emulation asserts it. */
static void
test_kernels(void **state)
{
	const struct tile_kernel *best = bf16_kernel();
	for (int k = 0; k < n_kernels; k++) {
		bf16_set_kernel(kernels[k]);
		test_shapes(state);
		test_backward_of_branches(state);
		test_wide_heads(state);
		test_prefixes(state);
		test_branches_off_branches(state);
	}
	bf16_set_kernel(best);
}

int
main(void)
{
	math_set_threads(0);
	find_kernels();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_backward_of_branches),
		cmocka_unit_test(test_wide_heads),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_branches_off_branches),
		cmocka_unit_test(test_threads_do_not_matter),
		cmocka_unit_test(test_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
