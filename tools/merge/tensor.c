/* W + Σ weight·scale·(B@A) for one tensor, some rows at a time. The product is summed in a fixed order, so
 * that the result does not depend on threads, and --verify may compare bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "merge.h"

enum { CHUNK = 1 << 20, SLICE = 1024 };

/* A delta as fp32 matrices in the layout of the tensor: left [rows, r], right [r, cols]. */
struct factor {
	float *left, *right;
	int r;
	float scale;
	enum st_dtype dtype;  /* of the adapter: its delta is rounded to it */
	float *magnitude;     /* DoRA: [rows], or [cols] when transposed; else NULL */
	float *column;        /* DoRA, transposed: [cols] factors; else NULL */
};

/* What one call of merge_tensor works on. */
struct work {
	const struct job *job;
	size_t rows, cols;
	struct factor *factor;  /* [job->n_deltas] */
	float *w, *d;           /* [chunk rows, cols] */
	uint8_t *out;           /* [chunk rows, cols] of job->dtype */
};

/* Gives back the memory of elements of a mapped tensor, which may be larger than what there is. */
static void
forget(const struct st_tensor *t, size_t first, size_t n)
{
	size_t size = st_dtype_size(t->dtype);
	map_forget(t->data + first * size, n * size);
}

/* The whole tensor as fp32, transposed when asked; new. */
static float *
load_matrix(const struct st_tensor *t, bool transpose)
{
	size_t n = (size_t)st_elements(t), rows = (size_t)t->shape[0], cols = rows ? n / rows : 0;
	float *a = xalloc_aligned(n, sizeof *a);
	st_to_f32(t, 0, n, a);
	forget(t, 0, n);
	if (!transpose)
		return a;
	float *b = xalloc_aligned(n, sizeof *b);
	for (size_t i = 0; i < rows; i++)
		for (size_t k = 0; k < cols; k++)
			b[k * rows + i] = a[i * cols + k];
	free(a);
	return b;
}

static void
factor_init(struct factor *f, const struct delta *d)
{
	const struct adapter_module *m = d->module;
	*f = (struct factor){.r = m->r, .scale = (float)(m->scale * d->weight), .dtype = m->B->dtype};
	f->left = load_matrix(d->transposed ? m->A : m->B, d->transposed);
	f->right = load_matrix(d->transposed ? m->B : m->A, d->transposed);
	if (m->magnitude)
		f->magnitude = load_matrix(m->magnitude, false);
}

static void
factor_release(struct factor *f)
{
	free(f->left);
	free(f->right);
	free(f->magnitude);
	free(f->column);
}

/* Rounds x to the nearest values of a type, which stay fp32. */
static void
round_to(enum st_dtype dtype, float *x, size_t n)
{
	uint16_t half[SLICE];
	if (dtype != ST_F16 && dtype != ST_BF16)
		return;
	for (size_t i = 0; i < n; i += SLICE) {
		size_t k = n - i < SLICE ? n - i : SLICE;
		struct st_tensor t = {.dtype = dtype, .data = (const uint8_t *)half};
		st_from_f32(dtype, x + i, k, half);
		st_to_f32(&t, 0, k, x + i);
	}
}

/* d = scale·(left[row] @ right), rounded as the adapter is stored: what PEFT adds on a CPU. */
static void
delta_row(float *d, const struct factor *f, size_t row, size_t cols)
{
	const float *left = f->left + row * (size_t)f->r;
	memset(d, 0, cols * sizeof *d);
	for (int k = 0; k < f->r; k++) {
		const float *right = f->right + (size_t)k * cols;
		float x = left[k];
		for (size_t i = 0; i < cols; i++)
			d[i] += x * right[i];
	}
	for (size_t i = 0; i < cols; i++)
		d[i] *= f->scale;
	round_to(f->dtype, d, cols);
}

static void
add_row(float *w, float *d, const struct factor *f, size_t row, size_t cols)
{
	delta_row(d, f, row, cols);
	for (size_t i = 0; i < cols; i++)
		w[i] += d[i];
}

/* The type in which PEFT computes DoRA: that of base and adapter when they are of one, else fp32. */
static enum st_dtype
dora_dtype(const struct job *j, const struct factor *f)
{
	return j->from->dtype == f->dtype && j->dtype == f->dtype ? f->dtype : ST_F32;
}

static float
dora_factor(float magnitude, double squares, enum st_dtype dtype)
{
	float norm = (float)sqrt(squares);
	round_to(dtype, &norm, 1);
	float x = magnitude / norm;
	round_to(dtype, &x, 1);
	return x;
}

/* w = m / ‖w + d‖ · (w + d), the norm over an output's row, or column when transposed. */
static void
dora_row(const struct work *k, float *w, float *d, size_t row)
{
	const struct factor *f = &k->factor[0];
	enum st_dtype dtype = dora_dtype(k->job, f);
	add_row(w, d, f, row, k->cols);
	round_to(dtype, w, k->cols);
	if (f->column) {
		for (size_t i = 0; i < k->cols; i++)
			w[i] *= f->column[i];
		return;
	}
	double squares = 0;
	for (size_t i = 0; i < k->cols; i++)
		squares += (double)w[i] * (double)w[i];
	float x = dora_factor(f->magnitude[row], squares, dtype);
	for (size_t i = 0; i < k->cols; i++)
		w[i] *= x;
}

/* The factors of the columns, which need the whole tensor once before it is merged. */
static void
dora_columns(const struct work *k)
{
	struct factor *f = &k->factor[0];
	enum st_dtype dtype = dora_dtype(k->job, f);
	double *squares = xcalloc(k->cols, sizeof *squares);
	for (size_t row = 0; row < k->rows; row++) {
		st_to_f32(k->job->from, row * k->cols, k->cols, k->w);
		add_row(k->w, k->d, f, row, k->cols);
		round_to(dtype, k->w, k->cols);
		for (size_t i = 0; i < k->cols; i++)
			squares[i] += (double)k->w[i] * (double)k->w[i];
		forget(k->job->from, row * k->cols, k->cols);
	}
	f->column = xalloc_aligned(k->cols, sizeof *f->column);
	for (size_t i = 0; i < k->cols; i++)
		f->column[i] = dora_factor(f->magnitude[i], squares[i], dtype);
	free(squares);
}

/* Whether all of x can be told in the type: finite, and not so large that it is rounded to infinity. */
static bool
fits(enum st_dtype dtype, const float *x, size_t n)
{
	float limit = dtype == ST_F16 ? 65520.0f : dtype == ST_BF16 ? 0x1.ffp127f : INFINITY;
	bool all = true;
	for (size_t i = 0; i < n; i++)
		all &= fabsf(x[i]) < limit;
	return all;
}

/* Rows [first, first + n) into k->out; whether they fit the output's type. */
static bool
merge_rows(const struct work *k, size_t first, size_t n)
{
	const struct job *j = k->job;
	size_t row_bytes = k->cols * st_dtype_size(j->dtype);
	bool ok = true;
#pragma omp parallel for schedule(static) reduction(&& : ok)
	for (size_t i = 0; i < n; i++) {
		float *w = k->w + i * k->cols, *d = k->d + i * k->cols;
		st_to_f32(j->from, (first + i) * k->cols, k->cols, w);
		if (k->factor[0].magnitude)
			dora_row(k, w, d, first + i);
		else
			for (size_t a = 0; a < j->n_deltas; a++)
				add_row(w, d, &k->factor[a], first + i, k->cols);
		ok = ok && fits(j->dtype, w, k->cols);
		st_from_f32(j->dtype, w, k->cols, k->out + i * row_bytes);
	}
	forget(j->from, first * k->cols, n * k->cols);
	return ok;
}

static int
merge_chunks(struct work *k, size_t chunk, put_fn *put, void *ctx, struct err *e)
{
	int rc = 0;
	if (k->factor[0].magnitude && k->job->delta[0].transposed)
		dora_columns(k);
	for (size_t row = 0; row < k->rows && rc == 0; row += chunk) {
		size_t n = k->rows - row < chunk ? k->rows - row : chunk;
		if (!merge_rows(k, row, n))
			rc = err_set(e, ERR_DATA,
				"tensor '%s': merged values are infinite, not a number or too large "
				"for %s: the adapter is broken",
				k->job->name, st_dtype_name(k->job->dtype));
		else
			rc = put(ctx, k->out, n * k->cols * st_dtype_size(k->job->dtype), e);
	}
	return rc;
}

static int
convert_tensor(const struct job *j, put_fn *put, void *ctx, struct err *e)
{
	size_t n = (size_t)st_elements(j->from), size = st_dtype_size(j->dtype);
	float *w = xalloc_aligned(CHUNK, sizeof *w);
	uint8_t *out = xalloc_aligned(CHUNK, size);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i += CHUNK) {
		size_t k = n - i < CHUNK ? n - i : CHUNK;
		st_to_f32(j->from, i, k, w);
		forget(j->from, i, k);
		if (!fits(j->dtype, w, k)) {
			rc = err_set(e, ERR_DATA,
				"tensor '%s': values are infinite, not a number or too large for %s; give "
				"another --dtype",
				j->name, st_dtype_name(j->dtype));
			break;
		}
		st_from_f32(j->dtype, w, k, out);
		rc = put(ctx, out, k * size, e);
	}
	free(w);
	free(out);
	return rc;
}

/* Byte for byte; of the mapped file only a piece at a time stays in memory. */
static int
copy_tensor(const struct job *j, put_fn *put, void *ctx, struct err *e)
{
	int rc = 0;
	for (size_t at = 0, n; at < j->from->bytes && rc == 0; at += n) {
		n = j->from->bytes - at < CHUNK ? j->from->bytes - at : CHUNK;
		rc = put(ctx, j->from->data + at, n, e);
		map_forget(j->from->data + at, n);
	}
	return rc;
}

int
merge_tensor(const struct job *j, put_fn *put, void *ctx, struct err *e)
{
	if (!j->n_deltas && j->from->dtype == j->dtype)
		return copy_tensor(j, put, ctx, e);
	if (!j->n_deltas)
		return convert_tensor(j, put, ctx, e);
	struct work k = {.job = j, .rows = (size_t)j->from->shape[0], .cols = (size_t)j->from->shape[1]};
	size_t chunk = k.cols && k.cols < CHUNK ? CHUNK / k.cols : 1;
	if (chunk > k.rows)
		chunk = k.rows;
	k.factor = xcalloc(j->n_deltas, sizeof *k.factor);
	for (size_t a = 0; a < j->n_deltas; a++)
		factor_init(&k.factor[a], &j->delta[a]);
	k.w = xalloc_aligned(chunk * k.cols, sizeof *k.w);
	k.d = xalloc_aligned(chunk * k.cols, sizeof *k.d);
	k.out = xalloc_aligned(chunk * k.cols, st_dtype_size(j->dtype));
	int rc = merge_chunks(&k, chunk, put, ctx, e);
	for (size_t a = 0; a < j->n_deltas; a++)
		factor_release(&k.factor[a]);
	free(k.factor);
	free(k.w);
	free(k.d);
	free(k.out);
	return rc;
}
