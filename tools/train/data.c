#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "train.h"

static void
tell_complaints(const struct records_counts *c)
{
	struct buf text = {0};
	for (unsigned i = 0; i < RECORDS_COMPLAINTS; i++)
		if (records_complaint(c, i, &text))
			log_warn("%s", text.data);
	buf_release(&text);
}

static int
open_one(struct run *r, struct ingested *in, const char *path, const char *name, struct err *e)
{
	const struct settings *s = r->set;
	/* A dry run keeps nothing. */
	char *keep = s->dry_run ? NULL : rundir_path(r, name);
	const struct ingest_options opt = {.template = s->template, .keep = keep, .threads = opt_threads,
		.record = {.train_on = (enum record_train_on)record_train_on_named(s->train_on),
			.overlong = (enum record_overlong)record_overlong_named(s->overlong),
			.max_length = (uint32_t)s->max_length, .prompt_loss_weight = s->prompt_loss_weight}};
	if (path_is_dir(path) && (s->template || s->max_length || s->prompt_loss_weight > 0))
		log_warn("'%s' is a dataset: --template, --max-length and --prompt-loss-weight act on JSONL files only", path);
	int rc = ingest_open(in, path, r->model_dir, &opt, e);
	free(keep);
	if (rc == 0)
		tell_complaints(&in->counts);
	return rc < 0 ? rc : ingest_check(in, path, r->model.config.V, r->model_dir, e);
}

int
data_open(struct run *r, struct err *e)
{
	if (open_one(r, &r->train_data, r->set->train, "data-train", e) < 0)
		return -1;
	r->train = r->train_data.dataset;
	if (!r->set->valid)
		return 0;
	if (open_one(r, &r->valid_data, r->set->valid, "data-validation", e) < 0)
		return -1;
	r->valid = r->valid_data.dataset;
	return 0;
}
