#include "text/ingest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* What a dataset is made from and how: kept in its dataset.json, so that it is used again only for the same. */
static json_t *
describe(const char *path, const struct tokenizer *t, const struct template *tmpl, const struct ingest_options *opt,
	struct err *e)
{
	struct map m;
	char hex[HASH_HEX];
	const struct record_options *r = &opt->record;
	if (map_open(&m, path, e) < 0)
		return NULL;
	hash_bytes(m.data, m.size, hex);
	map_close(&m);
	json_t *eos = tokenizer_eos(t) >= 0 ? json_integer(tokenizer_eos(t)) : json_null();
	json_t *info = json_pack("{s:s, s:I, s:o, s:[s], s:s?, s:{s:s, s:i, s:i, s:i, s:f, s:i, s:b}}", "tokenizer",
		tokenizer_fingerprint(t), "vocab_size", (json_int_t)tokenizer_vocab_size(t), "eos_token_id", eos, "source", path,
		"template", tmpl->name, "ingest", "xxh128", hex, "format", (int)r->format, "train_on", (int)r->train_on,
		"overlong", (int)r->overlong, "prompt_loss_weight", r->prompt_loss_weight, "max_length", (int)r->max_length,
		"no_eos", (int)r->no_eos);
	if (!info)
		err_set(e, ERR_NOINPUT, "'%s': the name is not UTF-8", path);
	return info;
}

/* ---- making one ---- */

static int
add_example(void *arg, const struct example *x, const struct records_counts *so_far, struct err *e)
{
	(void)so_far;
	return dataset_add(arg, x, e);
}

static int
make(const char *path, const char *to, const struct record_options *record, int threads, const json_t *info,
	struct records_counts *counts, struct err *e)
{
	struct record_options o = *record;
	struct dataset_writer *w = dataset_create(to, &(struct dataset_options){.force = true}, e);
	if (!w)
		return -1;
	struct records_sink sink = {.example = add_example, .arg = w};
	if (records_tokenize(&path, 1, &o, false, threads, &sink, counts, e) < 0) {
		dataset_abort(w);
		return -1;
	}
	return dataset_finish(w, info, e);
}

static char *
temporary_directory(struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "hone-XXXXXX");
	if (mkdtemp(dir))
		return dir;
	err_sys(e, ERR_CANTCREAT, "cannot create '%s'", dir);
	free(dir);
	return NULL;
}

/* The dataset at opt->keep, if it was made from this very file with these options. */
static int
open_kept(struct ingested *in, const char *path, const char *keep, const json_t *info, struct err *e)
{
	in->dataset = dataset_open(keep, e);
	if (!in->dataset)
		return -1;
	const json_t *d = dataset_json(in->dataset);
	if (json_equal(json_object_get(d, "ingest"), json_object_get(info, "ingest")) &&
		json_equal(json_object_get(d, "tokenizer"), json_object_get(info, "tokenizer")))
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' was made from another '%s', or with other options; name another output", keep,
		path);
}

static int
tokenise(struct ingested *in, const char *path, const struct ingest_options *opt, const struct record_options *record,
	const json_t *info, struct err *e)
{
	if (opt->keep && path_exists(opt->keep))
		return open_kept(in, path, opt->keep, info, e);
	if (!opt->keep && !(in->temporary = temporary_directory(e)))
		return -1;
	char *to = opt->keep ? xstrdup(opt->keep) : path_join(in->temporary, "dataset");
	int rc = make(path, to, record, opt->threads, info, &in->counts, e);
	if (rc == 0)
		rc = (in->dataset = dataset_open(to, e)) ? 0 : -1;
	free(to);
	return rc;
}

static int
open_file(struct ingested *in, const char *path, const char *model_dir, const struct ingest_options *opt, struct err *e)
{
	struct record_options record = opt->record;
	struct template tmpl = {0};
	struct tokenizer *t = tokenizer_open(model_dir, e);
	if (!t)
		return -1;
	int rc = template_open(&tmpl, model_dir, opt->template, e);
	if (rc == 0) {
		record.tokenizer = t;
		record.template = &tmpl;
		json_t *info = describe(path, t, &tmpl, opt, e);
		rc = info ? tokenise(in, path, opt, &record, info, e) : -1;
		in->fits = rc == 0;
		json_decref(info);
		template_close(&tmpl);
	}
	tokenizer_free(t);
	return rc;
}

int
ingest_open(struct ingested *in, const char *path, const char *model_dir, const struct ingest_options *opt, struct err *e)
{
	*in = (struct ingested){0};
	int rc = 0;
	if (path_is_dir(path))
		rc = (in->dataset = dataset_open(path, e)) ? 0 : -1;
	else if (strcmp(path, "-") != 0 && !path_exists(path))
		rc = err_set(e, ERR_NOINPUT, "'%s' does not exist; a dataset directory or a JSONL file is wanted", path);
	else
		rc = open_file(in, path, model_dir, opt, e);
	if (rc < 0)
		ingest_close(in);
	return rc;
}

void
ingest_close(struct ingested *in)
{
	struct err ignored;
	if (in->dataset)
		dataset_close(in->dataset);
	if (in->temporary)
		path_remove(in->temporary, &ignored);
	free(in->temporary);
	*in = (struct ingested){0};
}

/* ---- whether it fits the model ---- */

/* A model without a tokenizer has nothing to compare; a tokenizer that cannot be read is an error here already, since it
 * would go with what is trained. */
static int
check_tokenizer(const char *path, const char *made_with, const char *model_dir, struct err *e)
{
	if (!made_with)
		return 0;
	struct tokenizer *t = tokenizer_open(model_dir, e);
	if (!t)
		return e->code == ERR_NOINPUT ? 0 : -1;
	bool same = strcmp(tokenizer_fingerprint(t), made_with) == 0;
	tokenizer_free(t);
	return same ? 0
		    : err_set(e, ERR_DATA, "'%s' was made with another tokenizer than that of '%s': tokenise it with this model",
			      path, model_dir);
}

int
ingest_check(const struct ingested *in, const char *path, int V, const char *model_dir, struct err *e)
{
	const struct dataset *d = in->dataset;
	if (dataset_count(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no examples", path);
	if (dataset_targets(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no targets: nothing to train on or to score", path);
	if (dataset_vocab_size(d) > V)
		return err_set(e, ERR_DATA, "'%s' was made with a vocabulary of %lld, the model's has %d: tokenise it with this model",
			path, (long long)dataset_vocab_size(d), V);
	return in->fits ? 0 : check_tokenizer(path, dataset_tokenizer(d), model_dir, e);
}
