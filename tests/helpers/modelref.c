/* usage: modelref CASE_DIR [BAND [BASE_DIR]]   (reference/models/<name>; CASE_DIR/base)
 * Holds loss, logits and every gradient of a reference case, computed in fp32, against ours, and greedy continuations;
 * prints the largest relative error (Euclidean norm) of each kind and exits 1 when one is above 1e-4, or a continuation
 * is another. With a BAND other than 0 we compute in bf16, the errors of logits and gradients are held to it, that of the
 * loss to a hundredth of it, and continuations may be others. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "math/gemm.h"
#include "model/batch.h"
#include "model/generate.h"

static struct err e;

static json_t *
read_json(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	json_t *o = json_read_file(path, 1 << 24, &e);
	if (!o)
		die(&e);
	free(path);
	return o;
}

static double
relative_error(const float *ours, const struct st_tensor *theirs)
{
	size_t n = (size_t)st_elements(theirs);
	float *want = xreallocarray(NULL, n, sizeof *want);
	st_to_f32(theirs, 0, n, want);
	double diff = 0, norm = 0;
	for (size_t i = 0; i < n; i++) {
		diff += ((double)ours[i] - want[i]) * ((double)ours[i] - want[i]);
		norm += (double)want[i] * want[i];
	}
	free(want);
	return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

static void
add_doc(struct batch_builder *b, const json_t *doc)
{
	const json_t *ids = json_object_get(doc, "input_ids"), *labels = json_object_get(doc, "labels");
	int32_t *v = xreallocarray(NULL, json_array_size(ids), sizeof *v);
	int n = (int)json_array_size(ids), row;
	for (int i = 0; i < n; i++)
		v[i] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
	row = batch_add_document(b, v, n);
	for (int i = 1; i < n; i++)
		if (json_integer_value(json_array_get(labels, (size_t)i)) != -100)
			batch_add_target(b, row + i - 1, v[i], 1);
	free(v);
}

struct kept {
	float *logits;
	int V;
};

static void
keep_logits(void *ctx, int first, int n, float *logits)
{
	struct kept *k = ctx;
	memcpy(k->logits + (size_t)first * (size_t)k->V, logits, (size_t)n * (size_t)k->V * sizeof *logits);
}

static double
logits_error(struct model *m, const struct batch *b, const struct st_file *ref)
{
	struct kept k = {xreallocarray(NULL, (size_t)b->T * (size_t)m->config.V, sizeof(float)), m->config.V};
	int32_t *rows = xreallocarray(NULL, (size_t)b->T, sizeof *rows);
	for (int i = 0; i < b->T; i++)
		rows[i] = i;
	model_logits(m, rows, b->T, keep_logits, &k);
	double worst = 0;
	for (int d = 0; d < b->n_docs; d++) {
		char name[32];
		snprintf(name, sizeof name, "logits.%d", d);
		const struct st_tensor *t = st_find(ref, name);
		double x = relative_error(k.logits + (size_t)b->docs[d].q * (size_t)k.V, t);
		worst = x > worst ? x : worst;
	}
	free(k.logits);
	free(rows);
	return worst;
}

static double
gradient_error(struct model *m, const struct st_file *ref, const char **where)
{
	double worst = 0;
	for (size_t i = 0; i < m->n_trained; i++) {
		char *name = xasprintf("grad.%s", m->trained[i]->name);
		const struct st_tensor *t = st_find(ref, name);
		if (!t) {
			fprintf(stderr, "no '%s' in the reference\n", name);
			exit(1);
		}
		double x = relative_error(m->trained[i]->grad, t);
		if (x > worst) {
			worst = x;
			*where = m->trained[i]->name;
		}
		free(name);
	}
	return worst;
}

/* How many of the continuations of generate.json are others. */
static int
wrong_continuations(struct model *m, const json_t *cases)
{
	struct generator g = {0};
	struct sampler s;
	const char *key;
	json_t *c;
	int wrong = 0;
	sampler_init(&s, 0, 0, 1, 0);
	json_object_foreach((json_t *)cases, key, c) {
		const json_t *prompt = json_object_get(c, "prompt"), *greedy = json_object_get(c, "greedy");
		int n = (int)json_array_size(prompt), all = (int)json_array_size(greedy), right = n;
		int32_t ids[64], next;
		for (int i = 0; i < n; i++)
			ids[i] = (int32_t)json_integer_value(json_array_get(prompt, (size_t)i));
		generator_init(&g, m, all);
		next = generator_next(&g, ids, n, &s);
		for (int i = n; i < all && next == json_integer_value(json_array_get(greedy, (size_t)i)); i++, right++)
			next = i + 1 < all ? generator_next(&g, &next, 1, &s) : 0;
		wrong += right != all || all <= n;
	}
	generator_release(&g);
	sampler_release(&s);
	return wrong;
}

int
main(int argc, char **argv)
{
	struct model m;
	struct batch_builder bb = {0};
	if (argc < 2 || argc > 4)
		return 64;
	const char *dir = argv[1];
	math_set_threads(0);
	char *base = argc == 4 ? xstrdup(argv[3]) : path_join(dir, "base");
	char *tensors = path_join(dir, "forward_backward.safetensors");
	if (model_open(&m, base, &(struct model_options){0}, &e) < 0)
		die(&e);
	json_t *docs = read_json(dir, "docs.json"), *want = read_json(dir, "forward_backward.json");
	struct st_file *ref = st_open(tensors, &e);
	if (!ref)
		die(&e);
	for (size_t i = 0; i < json_array_size(json_object_get(want, "docs")); i++)
		add_doc(&bb, json_array_get(docs, (size_t)json_integer_value(json_array_get(json_object_get(want, "docs"), i))));
	struct batch b = batch_view(&bb);
	double asked = argc > 2 ? atof(argv[2]) : 0;
	bool bf16 = asked > 0;
	double band = bf16 ? asked : 1e-4, loss_band = bf16 ? band / 100 : band;
	m.compute = bf16 ? NUM_BF16 : NUM_F32;
	model_train_all(&m);
	model_reserve(&m, b.T, 64, 0, KEEP_ALL);
	model_zero_grad(&m);
	model_forward(&m, &b);
	float *nll = xreallocarray(NULL, (size_t)b.n_targets, sizeof *nll);
	int32_t *best = xreallocarray(NULL, (size_t)b.n_targets, sizeof *best);
	model_loss(&m, &b, 1.0f / (float)b.n_targets, nll, best);
	double loss = 0, loss_want = json_number_value(json_object_get(want, "loss"));
	for (int i = 0; i < b.n_targets; i++)
		loss += nll[i] / b.n_targets;
	double loss_err = fabs(loss - loss_want) / loss_want, logits_err = logits_error(&m, &b, ref);
	model_backward(&m, &b);
	const char *where = "-";
	double grad_err = gradient_error(&m, ref, &where);
	json_t *continuations = read_json(dir, "generate.json");
	int wrong = wrong_continuations(&m, continuations);
	bool targets_ok = b.n_targets == json_integer_value(json_object_get(want, "targets"));
	printf("%-8s loss %.1e  logits %.1e  gradients %.1e (%s)  other continuations %d%s\n", m.config.family->model_type,
		loss_err, logits_err, grad_err, where, wrong, targets_ok ? "" : "  WRONG NUMBER OF TARGETS");
	free(base);
	free(tensors);
	free(nll);
	free(best);
	json_decref(docs);
	json_decref(want);
	json_decref(continuations);
	st_close(ref);
	batch_release(&bb);
	model_release(&m);
	return !(loss_err < loss_band && logits_err < band && grad_err < band && (wrong == 0 || bf16) && targets_ok);
}
