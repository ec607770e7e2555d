/* The output directory: weights in the base's files and order, and the files beside them. It is staged, and
 * appears whole or not at all. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
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
write_jobs(const struct plan *p, size_t first, size_t end, const char *path, struct sink *s, struct err *e)
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
	return st_finish(s->w, e);
}

static int
write_weights(const struct plan *p, const char *dir, struct err *e)
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
		rc = write_jobs(p, first, end, path, &s, e);
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
	side_free(names);
	return rc;
}

/* A directory within `path`, new; NULL when there is none. */
static char *
inner_directory(const char *path)
{
	char *found = NULL;
	DIR *d = opendir(path);
	struct dirent *ent;
	while (d && !found && (ent = readdir(d))) {
		char *child = path_join(path, ent->d_name);
		if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0 && path_is_dir(child))
			found = child;
		else
			free(child);
	}
	if (d)
		closedir(d);
	return found;
}

int
check_replaceable(const char *path, struct err *e)
{
	if (!path_exists(path))
		return 0;
	char *config = path_join(path, "config.json"), *inner = inner_directory(path);
	int rc = 0;
	if (!path_exists(config) || path_is_dir(config))
		rc = err_set(e, ERR_CANTCREAT,
			"'%s' is not a model directory (no config.json), and only such are replaced", path);
	else if (inner)
		rc = err_set(e, ERR_CANTCREAT,
			"'%s' is a directory: a model directory that holds others is not replaced; remove it first", inner);
	free(inner);
	free(config);
	return rc;
}

int
write_output(const struct plan *p, bool force, struct err *e)
{
	struct dir_out d;
	if (dir_open(&d, p->opt->output, force, e) < 0)
		return -1;
	if (write_weights(p, d.tmp, e) < 0 || (is_sharded(p) && write_index(p, d.tmp, e) < 0) ||
		write_sides(p, d.tmp, e) < 0) {
		dir_abort(&d);
		return -1;
	}
	return dir_commit(&d, e);
}
