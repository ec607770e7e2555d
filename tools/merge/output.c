/* The output directory: weights in the base's files and order, and the files beside them. It is staged, and
 * appears whole or not at all. */
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/provenance.h"
#include "fmt/manifest.h"
#include "merge.h"

enum { INDEX_MAX = 1 << 26 };

static const char index_name[] = "model.safetensors.index.json";

/* Where the pieces of a tensor go. */
struct sink {
	struct st_writer *w;
	struct progress progress;
	uint64_t done;
};

static int
put(void *ctx, const void *data, size_t bytes, struct err *e)
{
	struct sink *s = ctx;
	(void)e;
	st_write(s->w, data, bytes);
	s->done += bytes;
	progress_show(&s->progress, s->done, NULL);
	return 0;
}

static uint64_t
total_bytes(const struct plan *p)
{
	uint64_t total = 0;
	for (size_t i = 0; i < p->n_jobs; i++)
		total += job_bytes(&p->job[i]);
	return total;
}

/* The jobs [first, end) of one file. */
static int
write_jobs(const struct plan *p, size_t first, size_t end, const char *path, struct sink *s, char hash[HASH_HEX], struct err *e)
{
	const struct st_file *like = weights_file(p->base, p->job[first].file, NULL);
	struct st_tensor *decl = xcalloc(end - first, sizeof *decl);
	for (size_t i = first; i < end; i++) {
		decl[i - first] = *p->job[i].from;
		decl[i - first].name = p->job[i].name;
		decl[i - first].dtype = p->job[i].dtype;
	}
	s->w = st_create_with(path, false, decl, end - first, st_metadata_all(like), e);
	free(decl);
	if (!s->w)
		return -1;
	for (size_t i = first; i < end; i++) {
		if (merge_tensor(&p->job[i], put, s, e) < 0) {
			st_abort(s->w);
			return -1;
		}
		st_forget(p->job[i].from);
	}
	return st_finish_hash(s->w, hash, e);
}

static int
write_weights(const struct plan *p, const char *dir, json_t *hashes, struct err *e)
{
	int rc = 0;
	struct sink s = {0};
	progress_start(&s.progress, "merging", "B", total_bytes(p));
	for (size_t first = 0, end; first < p->n_jobs && rc == 0; first = end) {
		const char *name;
		for (end = first; end < p->n_jobs && p->job[end].file == p->job[first].file;)
			end++;
		weights_file(p->base, p->job[first].file, &name);
		char *path = path_join(dir, name);
		char hash[HASH_HEX];
		rc = write_jobs(p, first, end, path, &s, hash, e);
		if (rc == 0)
			json_object_set_new(hashes, name, json_string(hash));
		free(path);
	}
	progress_end(&s.progress);
	return rc;
}

/* The base's index with the sizes, and the tensors, of the output. */
static int
write_index(const struct plan *p, const char *dir, struct err *e)
{
	char *from = path_join(p->opt->model, index_name), *to = path_join(dir, index_name);
	json_t *root = json_read_file(from, INDEX_MAX, e), *metadata = json_object_get(root, "metadata");
	int rc = root ? 0 : -1;
	if (rc == 0) {
		if (!json_is_object(metadata)) {
			metadata = json_object();
			json_object_set_new(root, "metadata", metadata);
		}
		json_object_set_new(metadata, "total_size", json_integer((json_int_t)total_bytes(p)));
		for (size_t i = 0; i < p->n_jobs; i++) {
			const char *name;
			weights_file(p->base, p->job[i].file, &name);
			json_object_set_new(
				json_object_get(root, "weight_map"), p->job[i].name, json_string(name));
		}
		rc = json_write_file(to, false, root, JSON_INDENT(2), "\n", e);
	}
	json_decref(root);
	free(from);
	free(to);
	return rc;
}

/* Whether the base is stored as an index and shards. */
static bool
is_sharded(const struct plan *p)
{
	char *path = path_join(p->opt->model, "model.safetensors");
	bool single = path_exists(path);
	free(path);
	return !single;
}

static int
write_sides(const struct plan *p, const char *dir, struct err *e)
{
	char **names;
	if (side_files(p->opt->model, &names, e) < 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; names[i] && rc == 0; i++) {
		char *from = path_join(p->opt->model, names[i]), *to = path_join(dir, names[i]);
		if (p->config_changed && strcmp(names[i], "config.json") == 0)
			rc = json_write_file(to, false, p->config, JSON_INDENT(2), "\n", e);
		else
			rc = file_copy(from, to, false, e);
		free(from);
		free(to);
	}
	names_free(names);
	return rc;
}

/* What the output is made of. */
static int
write_origin(const struct plan *p, const char *dir, json_t *settings, struct err *e)
{
	const struct merge_options *o = p->opt;
	json_t *origin = provenance_new(settings);
	int rc = 0;
	provenance_add(origin, "base", o->model, weights_fingerprint(p->base));
	for (size_t i = 0; rc == 0 && i < o->n_adapters; i++) {
		char hash[HASH_HEX];
		rc = adapter_fingerprint(o->adapter[i], hash, e);
		if (rc == 0)
			json_object_set_new(provenance_add(origin, "adapter", o->adapter[i], hash), "weight", json_real(o->weight[i]));
	}
	if (rc == 0)
		rc = provenance_write(origin, dir, e);
	json_decref(origin);
	return rc;
}

/* All of it, the manifest last. */
static int
write_files(const struct plan *p, const char *dir, json_t *settings, struct err *e)
{
	json_t *hashes = json_object();
	int rc = write_origin(p, dir, settings, e);
	if (rc == 0)
		rc = write_weights(p, dir, hashes, e);
	if (rc == 0 && is_sharded(p))
		rc = write_index(p, dir, e);
	if (rc == 0)
		rc = write_sides(p, dir, e);
	if (rc == 0)
		rc = manifest_write(dir, NULL, hashes, e);
	json_decref(hashes);
	return rc;
}

/* *found becomes a directory within `path`, new, or NULL when there is none. */
static int
inner_directory(const char *path, char **found, struct err *e)
{
	char **names = dir_names(path, NULL, e);
	*found = NULL;
	for (size_t i = 0; names && names[i] && !*found; i++) {
		char *child = path_join(path, names[i]);
		if (path_is_dir(child))
			*found = child;
		else
			free(child);
	}
	int rc = names ? 0 : -1;
	names_free(names);
	return rc;
}

int
check_replaceable(const char *path, struct err *e)
{
	if (!path_exists(path))
		return 0;
	char *config = path_join(path, "config.json"), *inner = NULL;
	int rc = 0;
	if (!path_exists(config) || path_is_dir(config))
		rc = err_set(e, ERR_CANTCREAT,
			"'%s' is not a model directory (no config.json), and only such are replaced", path);
	else if ((rc = inner_directory(path, &inner, e)) == 0 && inner)
		rc = err_set(e, ERR_CANTCREAT,
			"'%s' is a directory: a model directory that holds others is not replaced; remove it first", inner);
	free(inner);
	free(config);
	return rc;
}

int
write_output(const struct plan *p, bool force, json_t *settings, struct err *e)
{
	struct dir_out d;
	if (dir_open(&d, p->opt->output, force, e) < 0) {
		json_decref(settings);
		return -1;
	}
	if (write_files(p, d.tmp, settings, e) == 0 && !dir_replaced(p->opt->hold, p->opt->model, e))
		return dir_commit(&d, e);
	dir_abort(&d);
	return -1;
}
