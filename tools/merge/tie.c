/* Tied embeddings: one tensor is both input embedding and output head, so what is merged into one of them
 * would change the other as well. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "merge.h"

/* The two names of each family, the input embedding in the ecosystem's full spelling. */
static const struct {
	const char *embedding, *head;
} pairs[] = {
	{"model.embed_tokens.weight", "lm_head.weight"},
	{"transformer.wte.weight", "lm_head.weight"},
	{"gpt_neox.embed_in.weight", "embed_out.weight"},
};

enum { N_PAIRS = sizeof pairs / sizeof *pairs };

/* Whether `name` (up to a trailing ".weight") ends with one of the names after a dot. */
static bool
last_is(const char *name, const char *const *of)
{
	const char *end = strstr(name, ".weight"), *last = name;
	size_t n = end ? (size_t)(end - name) : strlen(name);
	for (size_t i = 0; i < n; i++)
		if (name[i] == '.')
			last = name + i + 1;
	n -= (size_t)(last - name);
	for (; *of; of++)
		if (strlen(*of) == n && strncmp(last, *of, n) == 0)
			return true;
	return false;
}

bool
is_embedding(const char *module)
{
	static const char *const names[] = {"embed_tokens", "wte", "embed_in", NULL};
	return last_is(module, names);
}

bool
is_head(const char *module)
{
	static const char *const names[] = {"lm_head", "embed_out", NULL};
	return last_is(module, names);
}

/* Whether the model uses one tensor for both; `embedding` and `head` are what the base stores, or NULL. */
static int
find_tie(const struct plan *p, const struct job *embedding, const struct job *head, bool *tied, struct err *e)
{
	*tied = !embedding || !head;
	return json_get_bool(p->config, "tie_word_embeddings", tied, e);
}

/* The first module or tensor of an adapter that is an embedding or a head; NULL when there is none. */
static const char *
touched(const struct plan *p, const struct adapter **by)
{
	for (size_t a = 0; a < p->opt->n_adapters; a++) {
		*by = &p->adapter[a];
		for (size_t i = 0; i < (*by)->n_modules; i++)
			if (is_embedding((*by)->module[i].name) || is_head((*by)->module[i].name))
				return (*by)->module[i].name;
		for (size_t i = 0; i < (*by)->n_saved; i++)
			if (is_embedding((*by)->saved[i].name) || is_head((*by)->saved[i].name))
				return (*by)->saved[i].name;
	}
	return NULL;
}

/* The name of the tensor that is not stored, new; NULL when the family is not known. */
static char *
missing_name(const struct plan *p, const struct job *stored)
{
	for (int i = 0; i < N_PAIRS; i++) {
		if (strcmp(stored->name, pairs[i].embedding) == 0)
			return xstrdup(pairs[i].head);
		/* Some checkpoints store the head, and say in their metadata what it stands for. */
		if (strcmp(stored->name, pairs[i].head) == 0 && weights_find(p->base, pairs[i].embedding))
			return xstrdup(pairs[i].embedding);
	}
	return NULL;
}

/* Puts a copy of `stored` under the missing name behind it. */
static int
add_missing(struct plan *p, const struct job *stored, struct err *e)
{
	size_t at = (size_t)(stored - p->job) + 1;
	p->untied_name = missing_name(p, stored);
	if (!p->untied_name)
		return err_set(e, ERR_CONFIG,
			"cannot untie '%s': it is not named as in the families that are known", stored->name);
	p->job = xreallocarray(p->job, p->n_jobs + 1, sizeof *p->job);
	memmove(p->job + at + 1, p->job + at, (p->n_jobs - at) * sizeof *p->job);
	p->job[at] = p->job[at - 1];
	p->job[at].name = p->untied_name;
	p->n_jobs++;
	return 0;
}

static int
untie(struct plan *p, struct job *embedding, struct job *head, struct err *e)
{
	if (!embedding && !head)
		return err_set(e, ERR_CONFIG, "'%s': no input embedding is known by its name", p->opt->model);
	if (embedding && head)
		head->from = embedding->from;  /* what a tied model computes with, whatever the file holds */
	else if (add_missing(p, embedding ? embedding : head, e) < 0)
		return -1;
	json_object_set_new(p->config, "tie_word_embeddings", json_false());
	p->config_changed = true;
	return 0;
}

int
plan_untie(struct plan *p, struct err *e)
{
	struct job *embedding = NULL, *head = NULL;
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (is_embedding(p->job[i].name))
			embedding = &p->job[i];
		if (is_head(p->job[i].name))
			head = &p->job[i];
	}
	bool tied;
	const struct adapter *by;
	if (find_tie(p, embedding, head, &tied, e) < 0)
		return err_prefix(e, "'%s': config.json: ", p->opt->model);
	if (!tied)
		return 0;
	const char *name = touched(p, &by);
	if (name && json_is_true(json_object_get(by->config.root, "ensure_weight_tying")))
		return err_set(e, ERR_CONFIG, "'%s': '%s' with 'ensure_weight_tying' is not supported",
			st_path(by->file), name);
	if (name && !p->opt->untie)
		return err_set(e, ERR_CONFIG,
			"'%s': '%s' is tied: input embedding and output head are one tensor of '%s'; "
			"--untie stores them apart",
			st_path(by->file), name, p->opt->model);
	return p->opt->untie ? untie(p, embedding, head, e) : 0;
}
