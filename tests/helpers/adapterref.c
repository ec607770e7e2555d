/* usage: adapterref MODEL DOCS.json LOGITS.safetensors [ADAPTER]
 * Holds the logits of a model, with or without an adapter, against the tensors "logits.0", "logits.1", ... of a file,
 * those of the first examples of DOCS (one, or two); a file that is not there is written. Prints the largest relative error
 * (Euclidean norm) and exits 1 when it is above 1e-4. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "math/gemm.h"
#include "model/batch.h"
#include "model/lora.h"

enum { DOCS = 2, MAX_TOKENS = 1024 };

static struct err e;
static char *names[] = {"logits.0", "logits.1"};

struct kept {
	float *logits;
	size_t V;
};

static void
keep(void *ctx, int first, int n, float *logits)
{
	struct kept *k = ctx;
	memcpy(k->logits + (size_t)first * k->V, logits, (size_t)n * k->V * sizeof *logits);
}

/* Both documents one after the other, as one batch. */
static void
add_docs(struct batch_builder *b, const json_t *docs)
{
	for (size_t d = 0; d < DOCS; d++) {
		const json_t *ids = json_object_get(json_array_get(docs, d), "input_ids");
		int32_t v[MAX_TOKENS];
		size_t n = json_array_size(ids);
		for (size_t i = 0; i < n && i < MAX_TOKENS; i++)
			v[i] = (int32_t)json_integer_value(json_array_get(ids, i));
		batch_add_document(b, v, (int)n);
	}
}

static double
relative_error(const float *ours, const struct st_tensor *theirs)
{
	size_t n = (size_t)st_elements(theirs);
	float *want = xreallocarray(NULL, n, sizeof *want);
	double diff = 0, norm = 0;
	st_to_f32(theirs, 0, n, want);
	for (size_t i = 0; i < n; i++) {
		diff += pow((double)ours[i] - (double)want[i], 2);
		norm += pow((double)want[i], 2);
	}
	free(want);
	return sqrt(diff / norm);
}

static double
compare(const struct batch *b, const struct kept *k, const char *path)
{
	double worst = 0;
	struct st_file *f = st_open(path, &e);
	for (int d = 0; f && d < DOCS; d++) {
		const struct st_tensor *t = st_find(f, names[d]);
		if (!t && d > 0)
			break;
		if (!t || t->rank != 2 || t->shape[0] != b->docs[d].n || t->shape[1] != (int64_t)k->V)
			return INFINITY;
		worst = fmax(worst, relative_error(k->logits + (size_t)b->docs[d].q * k->V, t));
	}
	st_close(f);
	return f ? worst : INFINITY;
}

static void
write_logits(const struct batch *b, const struct kept *k, const char *path)
{
	struct st_tensor decl[DOCS];
	for (int d = 0; d < DOCS; d++)
		decl[d] = (struct st_tensor){.name = names[d], .dtype = ST_F32, .rank = 2, .shape = {b->docs[d].n, (int64_t)k->V}};
	struct st_writer *w = st_create(path, false, decl, DOCS, &e);
	for (int d = 0; w && d < DOCS; d++)
		st_write(w, k->logits + (size_t)b->docs[d].q * k->V, (size_t)b->docs[d].n * k->V * sizeof(float));
	if (!w || st_finish(w, &e) < 0)
		die(&e);
}

int
main(int argc, char **argv)
{
	struct model m;
	struct adapter_config c;
	struct batch_builder bb = {0};
	int32_t rows[DOCS * MAX_TOKENS];
	if (argc < 4)
		return 64;
	math_set_threads(0);
	if (model_open(&m, argv[1], &(struct model_options){0}, &e) < 0 || (argc > 4 && lora_open(&m, argv[4], 0, &c, &e) < 0))
		die(&e);
	json_t *docs = json_read_file(argv[2], 1 << 24, &e);
	if (!docs)
		die(&e);
	add_docs(&bb, docs);
	struct batch b = batch_view(&bb);
	struct kept k = {xreallocarray(NULL, (size_t)b.T * (size_t)m.config.V, sizeof(float)), (size_t)m.config.V};
	for (int i = 0; i < b.T; i++)
		rows[i] = i;
	model_reserve(&m, b.T, MAX_TOKENS, 0, KEEP_NOTHING);
	model_forward(&m, &b);
	model_logits(&m, rows, b.T, keep, &k);
	double worst = 0;
	if (path_exists(argv[3]))
		worst = compare(&b, &k, argv[3]);
	else
		write_logits(&b, &k, argv[3]);
	printf("%.1e\n", worst);
	free(k.logits);
	json_decref(docs);
	batch_release(&bb);
	if (argc > 4)
		adapter_config_release(&c);
	model_release(&m);
	return !(worst <= 1e-4);
}
