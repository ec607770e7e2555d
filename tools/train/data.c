#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
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

static void
tell_options_without_effect(const struct settings *s, const struct opt_list *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		if (path_is_dir(paths->item[i]) && (s->template || s->max_length || s->prompt_loss_weight > 0))
			log_warn("'%s' is a dataset: --template, --max-length and --prompt-loss-weight act on records only",
				paths->item[i]);
}

/* Packs or opens what `paths` name; what has to be kept goes into RUN/data-train and RUN/data-validation. A dry run keeps
 * nothing. */
static int
open_data(struct run *r, struct ingested *in, const struct opt_list *paths, const char *name, double held_out, struct err *e)
{
	const struct settings *s = r->set;
	char *keep = s->dry_run ? NULL : rundir_path(r, name), *keep_held_out = s->dry_run ? NULL : rundir_path(r, "data-validation");
	struct progress p;
	const struct ingest_options opt = {.template = s->template, .keep = keep, .held_out = held_out,
		.keep_held_out = keep_held_out, .threads = opt_threads, .progress = progress_share, .progress_ctx = &p,
		.record = {.train_on = (enum record_train_on)record_train_on_named(s->train_on),
			.overlong = (enum record_overlong)record_overlong_named(s->overlong),
			.max_length = (uint32_t)s->max_length, .prompt_loss_weight = s->prompt_loss_weight}};
	tell_options_without_effect(s, paths);
	progress_start(&p, "reading", "rows", 0);
	int rc = ingest_open(in, paths->item, paths->n, r->model_dir, &opt, e);
	progress_end(&p);
	free(keep);
	free(keep_held_out);
	if (rc == 0)
		tell_complaints(&in->counts);
	return rc < 0 ? rc : ingest_check(in, paths->item[0], r->model.config.V, r->model_dir, e);
}

/* The rows held out, of which a small file may have none. */
static int
take_held_out(struct run *r, struct err *e)
{
	struct dataset *d = r->train_data.held_out;
	if (dataset_count(d) > 0 && dataset_targets(d) > 0) {
		r->valid = d;
		return 0;
	}
	if (r->set->classification)
		return err_set(e, ERR_DATA, "--validation-split %g holds no row of '%s' out, and classification metrics need some",
			r->set->validation_split, r->set->train.item[0]);
	log_note("--validation-split %g holds no row out of so few; nothing is evaluated", r->set->validation_split);
	return 0;
}

int
data_open(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	if (open_data(r, &r->train_data, &s->train, "data-train", s->validation_split, e) < 0)
		return -1;
	r->train = r->train_data.dataset;
	if (r->train_data.held_out)
		return take_held_out(r, e);
	if (!s->valid.n)
		return 0;
	if (open_data(r, &r->valid_data, &s->valid, "data-validation", 0, e) < 0)
		return -1;
	r->valid = r->valid_data.dataset;
	return 0;
}
