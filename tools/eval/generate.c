/* --generate: what the model writes where the data have a completion. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "eval.h"
#include "model/batch.h"
#include "model/generate.h"
#include "text/tokenizer.h"

enum { MAX_STOPS = 64 };

struct writer {
	struct model *m;
	struct tokenizer *tokenizer;
	struct generator generator;
	struct sampler sampler;
	int32_t stop[MAX_STOPS];
	int n_stops;
	struct ids out;
};

/* ---- ends of text ---- */

static void
add_stop(struct writer *w, int64_t id)
{
	if (id >= 0 && id < w->m->config.V && w->n_stops < MAX_STOPS)
		w->stop[w->n_stops++] = (int32_t)id;
}

static void
add_stops_of(struct writer *w, const json_t *o)
{
	const json_t *v = json_object_get(o, "eos_token_id");
	if (json_is_integer(v))
		add_stop(w, json_integer_value(v));
	for (size_t i = 0; i < json_array_size(v); i++)
		if (json_is_integer(json_array_get(v, i)))
			add_stop(w, json_integer_value(json_array_get(v, i)));
}

enum { GENERATION_CONFIG_MAX = 1 << 20 };

/* As hone-generate: of config.json, of generation_config.json, and the tokenizer's; and the data's own. */
static int
find_stops(struct writer *w, const char *dir, const struct dataset *d, struct err *e)
{
	char *path = path_join(dir, "generation_config.json");
	json_t *o;
	int rc = json_read_optional(path, GENERATION_CONFIG_MAX, &o, e);
	add_stops_of(w, w->m->config.root);
	add_stops_of(w, o);
	add_stop(w, tokenizer_eos(w->tokenizer));
	add_stop(w, dataset_eos(d, -1));
	json_decref(o);
	free(path);
	return rc;
}

static bool
is_stop(const struct writer *w, int32_t id)
{
	for (int i = 0; i < w->n_stops; i++)
		if (w->stop[i] == id)
			return true;
	return false;
}

/* ---- one example ---- */

/* Where the last run of targets within the completion begins: the last answer of a conversation. */
static uint32_t
answer_start(const struct example *x)
{
	uint32_t start = x->completion, at = 0;
	bool before = false;
	for (uint32_t s = 0; s < x->n_spans; s++) {
		bool target = x->spans[s].weight > 0;
		if (target && !before && at > x->completion)
			start = at;
		before = target;
		at += x->spans[s].n;
	}
	return start;
}

static int
generate(struct writer *w, const int32_t *prompt, int n, struct err *e)
{
	int need = n + settings.max_new_tokens;
	if (need > w->generator.capacity)
		generator_init(&w->generator, w->m, need + need / 2);
	generator_reset(&w->generator);
	w->out.n = 0;
	int32_t next = generator_next(&w->generator, prompt, n, &w->sampler);
	for (int i = 0; i < settings.max_new_tokens; i++) {
		if (next < 0)
			return err_set(e, ERR_DATA, "the logits are not numbers: the model's weights are damaged");
		if (is_stop(w, next))
			break;
		ids_push(&w->out, next);
		/* A model of learned positions has no more of them than this. */
		if (w->m->positions && (size_t)n + w->out.n > (size_t)w->m->config.max_position)
			break;
		if (i + 1 < settings.max_new_tokens)
			next = generator_next(&w->generator, &next, 1, &w->sampler);
	}
	return 0;
}

static int
write_one(struct writer *w, struct generations *g, const struct example *x, struct err *e)
{
	uint32_t start = answer_start(x);
	if (start == 0 || start >= x->n)
		return 0;  /* no prompt, or nothing that should follow it */
	if (x->n > (uint32_t)(INT32_MAX / 2 - settings.max_new_tokens))
		return err_set(e, ERR_DATA, "the example of line %llu is too long", (unsigned long long)x->line);
	if (generate(w, x->ids, (int)start, e) < 0)
		return -1;
	struct buf made = {0}, wanted = {0};
	tokenizer_decode(w->tokenizer, w->out.v, w->out.n, true, &made);
	tokenizer_decode(w->tokenizer, x->ids + start, x->n - start, true, &wanted);
	generations_add(g, (int64_t)x->line, made.len ? made.data : "", made.len, wanted.len ? wanted.data : "", wanted.len);
	buf_release(&made);
	buf_release(&wanted);
	return 0;
}

static int
write_all(struct writer *w, struct generations *g, struct dataset *d, size_t n, struct err *e)
{
	struct progress p;
	int rc = 0;
	progress_start(&p, "generating", "examples", n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct example x;
		rc = dataset_read(d, i, &x, e);
		if (rc == 0)
			rc = example_fits(&x, w->m->config.V, i, e);
		if (rc == 0)
			rc = write_one(w, g, &x, e);
		progress_show(&p, i, NULL);
	}
	progress_end(&p);
	if (rc == 0 && g->n == 0)
		rc = err_set(e, ERR_DATA, "no example has a prompt and a completion: there is nothing to generate");
	return rc;
}

int
dataset_generate(struct generations *g, struct model *m, const char *model_dir, struct dataset *d, size_t n, struct err *e)
{
	struct writer w = {.m = m};
	w.tokenizer = tokenizer_open(model_dir, e);
	if (!w.tokenizer)
		return -1;
	sampler_init(&w.sampler, 0, 0, 1, 0);
	int rc = find_stops(&w, model_dir, d, e);
	if (rc == 0)
		rc = write_all(&w, g, d, n, e);
	generator_release(&w.generator);
	sampler_release(&w.sampler);
	tokenizer_free(w.tokenizer);
	ids_release(&w.out);
	return rc;
}
