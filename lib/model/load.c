/* The values of parameters: out of a checkpoint, or random; and the memory of those that are trained. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/mem.h"
#include "base/rng.h"
#include "math/vector.h"
#include "model/build.h"

/* ---- values from a checkpoint ---- */

/* By its name with or without that of the decoder, which checkpoints of the bare decoder lack. The head may have a name
 * of its own in files, and a tied model may store its one table as the head. */
const struct st_tensor *
model_find_tensor(const struct model *m, const struct param *p)
{
	const struct family_names *names = m->config.family->names;
	size_t n = strlen(names->decoder);
	const struct st_tensor *t = weights_find(m->weights, p->name);
	if (!t && strncmp(p->name, names->decoder, n) == 0 && p->name[n] == '.')
		t = weights_find(m->weights, p->name + n + 1);
	if (!t && p == m->head.w) {
		char *head = xasprintf("%s.weight", names->head);
		t = weights_find(m->weights, head);
		free(head);
	}
	if (!t && p == m->head.w && names->stored_head)
		t = weights_find(m->weights, names->stored_head);
	return t;
}

static int
check_tensor(const struct param *p, const struct st_tensor *t, struct err *e)
{
	if (!st_is_float(t->dtype))
		return err_set(e, ERR_CONFIG, "tensor '%s' is %s, not a floating-point type", t->name, st_dtype_name(t->dtype));
	bool fits = t->rank == p->rank && t->shape[0] == p->rows && (p->rank == 1 || t->shape[1] == p->columns);
	if (fits)
		return 0;
	char found[128] = "a scalar";
	for (int i = 0, n = 0; i < t->rank && n < 100; i++)
		n += snprintf(found + n, sizeof found - (size_t)n, "%s%lld", i ? " x " : "", (long long)t->shape[i]);
	if (p->rank == 1)
		return err_set(e, ERR_CONFIG, "tensor '%s' is %s, config.json wants %d", t->name, found, p->rows);
	return err_set(e, ERR_CONFIG, "tensor '%s' is %s, config.json wants %d x %d", t->name, found, p->rows, p->columns);
}

/* Points a parameter at its values in the mapped file; whether they can stay there. Vectors are read in fp32, matrices
 * also in the halves. */
static bool
place_in_file(struct param *p, const struct st_tensor *t)
{
	bool matrix = p->rank == 2;
	if (t->dtype == ST_F32 && (uintptr_t)t->data % sizeof(float) == 0)
		param_place(p, (float *)(uintptr_t)t->data);
	else if (matrix && (t->dtype == ST_BF16 || t->dtype == ST_F16))
		param_place_matrix(p, t->dtype == ST_BF16 ? MATRIX_BF16 : MATRIX_F16, t->data);
	else
		return false;
	return true;
}

/* What files hold besides parameters: buffers of old versions, and the head of a tied model once more. */
static bool
is_passed_over(const struct model *m, const char *name)
{
	const struct family_names *names = m->config.family->names;
	size_t n = strlen(name), head = strlen(names->head);
	if (m->config.tied && ((strncmp(name, names->head, head) == 0 && strcmp(name + head, ".weight") == 0) ||
		(names->stored_head && strcmp(name, names->stored_head) == 0)))
		return true;
	for (size_t i = 0; i < sizeof names->buffers / sizeof *names->buffers && names->buffers[i]; i++) {
		size_t k = strlen(names->buffers[i]);
		if (n > k && name[n - k - 1] == '.' && strcmp(name + n - k, names->buffers[i]) == 0)
			return true;
	}
	return false;
}

/* A tensor that no parameter takes would be a part of the model that we do not compute. */
static int
refuse_unknown(const struct model *m, const struct st_tensor **taken, struct err *e)
{
	for (size_t i = 0; i < weights_count(m->weights); i++) {
		const struct st_tensor *t = weights_at(m->weights, i);
		bool known = is_passed_over(m, t->name);
		for (size_t p = 0; p < m->n_params && !known; p++)
			known = taken[p]->data == t->data;
		if (!known)
			return err_set(e, ERR_CONFIG, "tensor '%s' has no place in a %s model", t->name, m->config.family->model_type);
	}
	return 0;
}

/* Whether it is the matrix of a linear layer; the head is none of them, and shares its table with the embeddings at
 * times. */
static bool
is_linear(const struct model *m, const struct param *p)
{
	for (int i = 0; i < m->config.L; i++)
		for (int j = 0; j < m->layer[i].n_linears; j++)
			if (m->layer[i].linear[j].w == p)
				return true;
	return false;
}

/* Gives a parameter its values: where the file has them, or in memory as soon as there is any; *read counts bytes of the
 * file that have to be read for that. */
static int
place(struct model *m, struct param *p, int bits, uint64_t *read, struct err *e)
{
	*read += p->tensor->bytes;
	if (bits && is_linear(m, p))
		return param_quantize(p, bits == 8 ? MATRIX_INT8 : MATRIX_NF4, &m->value_memory, e);
	if (place_in_file(p, p->tensor)) {
		*read -= p->tensor->bytes;
		return 0;
	}
	param_place(p, ARENA_TAKE(&m->value_memory, float, param_size(p)));
	if (p->value)
		st_to_f32(p->tensor, 0, param_size(p), p->value);
	return 0;
}

static int
load_values(struct model *m, int bits, struct err *e)
{
	const struct st_tensor **t = xcalloc(m->n_params, sizeof *t);
	uint64_t read[2] = {0};  /* by pass: how much there is, and how much is done */
	int rc = 0;
	for (size_t i = 0; i < m->n_params && rc == 0; i++) {
		t[i] = model_find_tensor(m, &m->param[i]);
		if (!t[i])
			rc = err_set(e, ERR_CONFIG, "tensor '%s' is missing from the checkpoint", m->param[i].name);
		else
			rc = check_tensor(&m->param[i], t[i], e);
	}
	if (rc == 0)
		rc = refuse_unknown(m, t, e);
	for (int pass = 0; pass < 2 && rc == 0; pass++) {
		for (size_t i = 0; i < m->n_params && rc == 0; i++) {
			m->param[i].tensor = t[i];
			m->param[i].stored = t[i]->dtype;
			rc = place(m, &m->param[i], bits, &read[pass], e);
			if (read[1])
				watch_tell(&m->watch, read[1], read[0]);
		}
		if (pass == 0)
			arena_make(&m->value_memory);
	}
	free(t);
	return rc;
}

size_t
model_mapped_bytes(const struct model *m)
{
	size_t bytes = 0;
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->param[i];
		const void *at = p->rank == 2 ? p->matrix.data : p->value;
		bool read = !p->packed || p == m->embed;
		bytes += read && p->tensor && at == p->tensor->data ? p->tensor->bytes : 0;
	}
	return bytes;
}

/* ---- random values ---- */

/* What transformers gives a new model. Each parameter has a stream of its own. */
static void
draw(const struct config *c, struct param *p, uint64_t seed, size_t i)
{
	struct rng r;
	rng_init(&r, seed, RNG_STREAM(RNG_WEIGHTS, i));
	double deviation = c->initializer_range;
	if (p->init == INIT_RESIDUAL && c->family->scaled_init)
		deviation /= sqrt(2.0 * c->L);
	for (size_t j = 0; j < param_size(p); j++)
		p->value[j] = p->init == INIT_ZERO ? 0 : p->init == INIT_ONE ? 1 : (float)(deviation * rng_normal(&r));
}

static void
random_values(struct model *m, uint64_t seed)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->n_params; i++)
			param_place(&m->param[i], ARENA_TAKE(&m->value_memory, float, param_size(&m->param[i])));
		if (pass == 0)
			arena_make(&m->value_memory);
	}
	uint64_t drawn = 0, now;
	watch_tell(&m->watch, 0, m->value_memory.size);
#pragma omp parallel for schedule(dynamic) private(now)
	for (size_t i = 0; i < m->n_params; i++) {
		draw(&m->config, &m->param[i], seed, i);
#pragma omp atomic capture
		now = drawn += param_size(&m->param[i]) * sizeof(float);
		if (omp_get_thread_num() == 0)
			watch_tell(&m->watch, now, m->value_memory.size);
	}
}

/* Gemma's factor is a number of the model's dtype. */
static float
embedding_scale(const struct model *m)
{
	enum st_dtype dtype = m->embed->stored;
	float scale = (float)m->config.embedding_scale;
	uint8_t bytes[8];
	if (dtype == ST_F64)
		return scale;
	st_from_f32(dtype, &scale, 1, bytes);
	const struct st_tensor one = {.name = "", .dtype = dtype, .rank = 1, .shape = {1}, .data = bytes};
	st_to_f32(&one, 0, 1, &scale);
	return scale;
}

struct opening {
	struct model *m;
	const char *dir;
	bool from_scratch;
};

static int
open_files(void *ctx, struct err *e)
{
	const struct opening *o = ctx;
	if (config_read(&o->m->config, o->dir, e) < 0)
		return -1;
	o->m->weights = o->from_scratch ? NULL : weights_open(o->dir, e);
	if (o->m->weights || o->from_scratch)
		return 0;
	config_release(&o->m->config);
	return -1;
}

static void
close_files(void *ctx)
{
	const struct opening *o = ctx;
	config_release(&o->m->config);
	weights_close(o->m->weights);
	o->m->weights = NULL;
}

int
model_open(struct model *m, const char *dir, const struct model_options *opt, struct err *e)
{
	*m = (struct model){.compute = opt->compute, .watch = opt->watch};
	struct opening o = {m, dir, opt->from_scratch};
	if (dir_read(dir, open_files, close_files, &o, e) < 0)
		return -1;
	model_build(m);
	m->lowest = m->config.L;
	m->embedding_scale = (float)m->config.embedding_scale;
	if (opt->from_scratch) {
		random_values(m, opt->seed);
		return 0;
	}
	if (load_values(m, opt->bits, e) == 0) {
		m->embedding_scale = embedding_scale(m);
		return 0;
	}
	err_prefix(e, "'%s': ", dir);
	model_release(m);
	return -1;
}

/* ---- training everything ---- */

static bool
in_arena(const struct arena *a, const void *at)
{
	return (const char *)at >= a->base && (const char *)at < a->base + a->size;
}

/* Gives memory of their own, in fp32, to parameters that lie in the mapped file, which cannot be written. */
static void
own_values(struct model *m)
{
	uint64_t copied = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->n_params; i++) {
			struct param *p = &m->param[i];
			if (in_arena(&m->value_memory, p->value))
				continue;
			float *to = ARENA_TAKE(&m->trained_memory, float, param_size(p));
			if (pass == 0)
				continue;
			param_read(p, 0, param_size(p), to);
			param_place(p, to);
			st_forget(p->tensor);
			copied += param_size(p) * sizeof *to;
			watch_tell(&m->watch, copied, m->trained_memory.size);
		}
		if (pass == 0)
			arena_make(&m->trained_memory);
	}
}

void
model_train_all(struct model *m)
{
	if (m->weights)
		own_values(m);
	m->trained = xcalloc(m->n_params, sizeof *m->trained);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->n_params; i++)
			m->param[i].grad = ARENA_TAKE(&m->grad_memory, float, param_size(&m->param[i]));
		if (pass == 0)
			arena_make(&m->grad_memory);
	}
	for (size_t i = 0; i < m->n_params; i++)
		m->trained[m->n_trained++] = &m->param[i];
	m->lowest = -1;
}

/* ---- release ---- */

static void
release_linear(struct linear *l)
{
	if (l->lora) {
		free(l->lora->A.name);
		free(l->lora->B.name);
		free(l->lora->magnitude.name);
	}
	free(l->lora);
	free(l->name);
}

void
model_release(struct model *m)
{
	for (size_t i = 0; i < m->n_params; i++)
		free(m->param[i].name);
	for (int i = 0; i < m->config.L && m->layer; i++)
		for (int j = 0; j < m->layer[i].n_linears; j++)
			release_linear(&m->layer[i].linear[j]);
	release_linear(&m->embed_table);
	release_linear(&m->position_table);
	release_linear(&m->head);
	free(m->param);
	free(m->layer);
	free(m->trained);
	arena_release(&m->value_memory);
	arena_release(&m->grad_memory);
	arena_release(&m->trained_memory);
	arena_release(&m->work_memory);
	if (m->weights)
		weights_close(m->weights);
	config_release(&m->config);
	*m = (struct model){0};
}
