/* --verify: everything is computed again and compared with what is there, bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "merge.h"

enum { CONFIG_MAX = 1 << 24 };

struct compare {
	const char *output;
	const struct st_tensor *have;
	size_t at;
};

static int
put(void *ctx, const void *data, size_t bytes, struct err *e)
{
	struct compare *c = ctx;
	if (memcmp(c->have->data + c->at, data, bytes) != 0)
		return err_set(
			e, ERR_NO, "'%s': tensor '%s' differs from the merge", c->output, c->have->name);
	map_forget(c->have->data + c->at, bytes);
	c->at += bytes;
	return 0;
}

static int
verify_tensor(const struct plan *p, const struct job *j, const struct weights *out, struct err *e)
{
	const struct st_tensor *t = weights_find(out, j->name);
	/* An alias is found by another name, and is not the tensor itself. */
	if (!t || strcmp(t->name, j->name) != 0)
		return err_set(e, ERR_NO, "'%s': tensor '%s' is missing", p->opt->output, j->name);
	bool same = t->dtype == j->dtype && t->rank == j->from->rank;
	for (int i = 0; same && i < t->rank; i++)
		same = t->shape[i] == j->from->shape[i];
	if (!same)
		return err_set(
			e, ERR_NO, "'%s': tensor '%s' is of another shape or dtype", p->opt->output, j->name);
	struct compare c = {p->opt->output, t, 0};
	int rc = merge_tensor(j, put, &c, e);
	st_forget(j->from);
	return rc;
}

static int
verify_weights(const struct plan *p, struct err *e)
{
	struct weights *out = weights_open(p->opt->output, e);
	int rc = out ? 0 : -1;
	struct progress progress;
	progress_start(&progress, "verifying", "tensors", p->n_jobs);
	for (size_t i = 0; i < p->n_jobs && rc == 0; i++) {
		rc = verify_tensor(p, &p->job[i], out, e);
		progress_show(&progress, i + 1, NULL);
	}
	progress_end(&progress);
	for (size_t i = 0; rc == 0 && i < weights_count(out); i++)
		if (!plan_find(p, weights_at(out, i)->name))
			rc = err_set(e, ERR_NO, "'%s': tensor '%s' is not of this merge", p->opt->output,
				weights_at(out, i)->name);
	weights_close(out);
	return rc;
}

static bool
same_json(const char *path, const json_t *want, struct err *e)
{
	json_t *have = json_read_file(path, CONFIG_MAX, e);
	bool same = have && json_equal(have, (json_t *)want);
	json_decref(have);
	return same;
}

static bool
same_bytes(const char *one, const char *two, struct err *e)
{
	struct map a, b;
	if (map_open(&a, one, e) < 0)
		return false;
	bool same = map_open(&b, two, e) == 0;
	if (same) {
		same = a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
		map_close(&b);
	}
	map_close(&a);
	return same;
}

static int
verify_sides(const struct plan *p, struct err *e)
{
	char **names;
	if (side_files(p->opt->model, &names, e) < 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; names[i] && rc == 0; i++) {
		char *from = path_join(p->opt->model, names[i]), *to = path_join(p->opt->output, names[i]);
		bool made = p->config_changed && strcmp(names[i], "config.json") == 0;
		if (!(made ? same_json(to, p->config, e) : same_bytes(from, to, e)))
			rc = err_set(e, ERR_NO, "'%s' is missing or differs", to);
		free(from);
		free(to);
	}
	names_free(names);
	return rc;
}

int
verify_output(const struct plan *p, struct err *e)
{
	return verify_weights(p, e) < 0 || verify_sides(p, e) < 0 ? -1 : 0;
}
