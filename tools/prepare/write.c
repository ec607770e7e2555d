/* The prepared files. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "prepare.h"

char *
row_json(const struct data *d, const struct row *r)
{
	if (d->form == FORM_CHAT)
		return xstrndup(text_of(d, r->field[FIELD_COMPLETION]), r->field[FIELD_COMPLETION].n);
	json_t *o = json_object();
	for (int j = 0; j < FIELDS; j++) {
		static const enum field order[FIELDS] = {FIELD_PROMPT, FIELD_INPUT, FIELD_COMPLETION};
		const char *name = form_field(d->form, order[j]);
		struct text t = r->field[order[j]];
		if (name)
			json_object_set_new(o, name, json_stringn(text_of(d, t), t.n));
	}
	json_t *frame = r->frame.n ? json_loadb(text_of(d, r->frame), r->frame.n, JSON_ALLOW_NUL, NULL) : NULL;
	if (frame)
		json_object_update(o, frame);
	json_decref(frame);
	char *text = chat_text(o, 0);
	json_decref(o);
	return text;
}

/* ---- names ---- */

/* The input's name without its folder and its ending. */
static char *
base_name(const char *input)
{
	if (strcmp(input, "-") == 0)
		return xstrdup("stdin");
	const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input;
	size_t n = input_name_length(name);
	while (n > 0 && name[n - 1] != '.')
		n--;
	return xstrndup(name, n > 1 ? n - 1 : input_name_length(name));
}

static char *
prefix_of(const char *input, const char *output)
{
	char *base = base_name(input), *prefix;
	const char *slash = strrchr(input, '/');
	size_t n = output ? strlen(output) : 0;
	if (output && (path_is_dir(output) || (n > 0 && output[n - 1] == '/')))
		prefix = path_join(output, base);
	else if (output)
		prefix = xstrdup(output);
	else
		prefix = xasprintf("%.*s%s", slash ? (int)(slash + 1 - input) : 0, input, base);
	free(base);
	return prefix;
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;
	return strcmp(a, "-") != 0 && strcmp(b, "-") != 0 && stat(a, &x) == 0 && stat(b, &y) == 0 &&
		x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int
refuse_input(const char *output, const char *input, const struct options *opt, struct err *e)
{
	const char *inputs[] = {input, opt->validation_file};
	for (int i = 0; i < 2; i++)
		if (output && inputs[i] && same_file(output, inputs[i]))
			return err_set(e, ERR_CANTCREAT, "'%s' is an input; -o names another output", output);
	return 0;
}

int
parts_init(struct parts *p, const char *input, const struct options *opt, struct err *e)
{
	bool both = opt->validation > 0 || opt->validation_file;
	if (opt->output && strcmp(opt->output, "-") == 0) {
		*p = (struct parts){{xstrdup("-"), NULL}};
		return 0;
	}
	char *prefix = prefix_of(input, opt->output);
	p->path[0] = xasprintf("%s.%s.jsonl", prefix, both ? "train" : "prepared");
	p->path[1] = both ? xasprintf("%s.valid.jsonl", prefix) : NULL;
	free(prefix);
	for (int i = 0; i < 2; i++) {
		if (refuse_input(p->path[i], input, opt, e) < 0)
			return -1;
		if (opt->report && p->path[i] && strcmp(opt->report, p->path[i]) == 0)
			return err_set(e, ERR_CANTCREAT, "'%s' cannot be data and report; --report names another file", opt->report);
	}
	return refuse_input(opt->report, input, opt, e);
}

void
parts_release(struct parts *p)
{
	free(p->path[0]);
	free(p->path[1]);
}

/* ---- writing ---- */

static void
put(struct out *o, XXH3_state_t *hash, const char *text)
{
	XXH3_128bits_update(hash, text, strlen(text));
	out_puts(o, text);
}

static int
write_rows(struct data *d, struct out out[2], uint64_t count[2], XXH3_state_t *hash[2], struct err *e)
{
	progress_start(&d->progress, "writing", "rows", d->n);
	for (size_t i = 0; i < d->n; i++) {
		const struct row *r = &d->row[i];
		if (r->dropped)
			continue;
		char *line = row_json(d, r);
		if (!line)
			return err_set(e, ERR_MEMORY, "out of memory");
		put(&out[r->validation], hash[r->validation], line);
		put(&out[r->validation], hash[r->validation], "\n");
		count[r->validation]++;
		free(line);
		progress_show(&d->progress, i + 1, NULL);
	}
	progress_end(&d->progress);
	return 0;
}

static void
list_outputs(struct data *d, const struct parts *p, const uint64_t count[2], XXH3_state_t *const hash[2])
{
	char hex[HASH_HEX];
	json_t *list = json_array();
	for (int i = 0; i < 2; i++)
		if (p->path[i]) {
			hash_hex(XXH3_128bits_digest(hash[i]), hex);
			json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "file", p->path[i], "rows", (json_int_t)count[i],
				"xxh128", hex));
		}
	json_object_set_new(d->report.more, "outputs", list);
}

int
parts_write(const struct parts *p, struct data *d, struct err *e)
{
	struct out out[2];
	uint64_t count[2] = {0, 0};
	int n = p->path[1] ? 2 : 1;
	XXH3_state_t *hash[2];
	for (int i = 0; i < n; i++)
		if (out_open(&out[i], p->path[i], true, e) < 0) {
			if (i > 0)
				out_abort(&out[0]);
			return -1;
		}
	for (int i = 0; i < 2; i++)
		hash[i] = hash_state_new();
	int rc = write_rows(d, out, count, hash, e);
	for (int i = 0; i < n; i++)
		if (rc < 0)
			out_abort(&out[i]);
		else
			rc = out_commit(&out[i], e);
	if (rc == 0)
		list_outputs(d, p, count, hash);
	free(hash[0]);
	free(hash[1]);
	return rc;
}
