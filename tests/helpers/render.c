/* render TEMPLATE.jinja VARIABLES.json: prints what the template makes of the variables.
 * render -r FILE.jsonl: replays templates against what they are known to give (tests/reference/README.md), tells how many
 * differ, and ends with 1 when any does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "text/jinja.h"

static int
render(const char *name, const char *text, size_t n, const json_t *root, struct buf *out, struct err *e)
{
	struct jinja *t = jinja_compile(name, text, n, e);
	if (!t)
		return -1;
	struct jinja_var *vars = xcalloc(json_object_size(root), sizeof *vars);
	size_t n_vars = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)root, key, value)
		vars[n_vars++] = (struct jinja_var){key, value};
	int rc = jinja_render(t, vars, n_vars, out, e);
	free(vars);
	jinja_free(t);
	return rc;
}

/* "out" is the text that is wanted; without it an error is. */
static bool
as_known(const json_t *o, const json_t *vars)
{
	const json_t *t = json_object_get(o, "t"), *want = json_object_get(o, "out");
	struct buf out = {0};
	struct err e = {0};
	int rc = render("template", json_string_value(t), json_string_length(t), vars, &out, &e);
	bool same = want ? rc == 0 && out.len == json_string_length(want) &&
				  memcmp(out.data, json_string_value(want), out.len) == 0 :
			   rc < 0;
	if (!same)
		printf("%s\n  expected: %s\n  found:    %s\n", json_string_value(t),
			want ? json_string_value(want) : "an error", rc < 0 ? e.msg : out.data);
	buf_release(&out);
	return same;
}

static int
replay(const char *path)
{
	struct err e;
	struct in in;
	const char *line;
	size_t n, cases = 0, different = 0;
	json_t *vars = NULL;
	int rc;
	if (in_open(&in, path, &e) < 0)
		die(&e);
	while ((rc = in_line(&in, 1 << 20, &line, &n, &e)) > 0) {
		json_t *o = json_read(path, line, n, &e);
		if (!o)
			die(&e);
		if (!vars)
			vars = json_incref(json_object_get(o, "vars"));
		else {
			cases++;
			different += !as_known(o, vars);
		}
		json_decref(o);
	}
	if (rc < 0)
		die(&e);
	in_close(&in);
	json_decref(vars);
	printf("%zu of %zu templates differ\n", different, cases);
	return different || !cases;
}

int
main(int argc, char **argv)
{
	struct err e;
	struct buf text = {0}, out = {0};
	log_tool = "render";
	if (argc != 3)
		die_usage("two files are wanted, or -r and one");
	if (strcmp(argv[1], "-r") == 0)
		return replay(argv[2]);
	json_t *root = NULL;
	if (file_read(argv[1], 1 << 20, &text, &e) < 0 || !(root = json_read_file(argv[2], 1 << 24, &e)) ||
		render(argv[1], text.data, text.len, root, &out, &e) < 0)
		die(&e);
	fwrite(out.data, 1, out.len, stdout);
	json_decref(root);
	buf_release(&text);
	buf_release(&out);
	tool_exit(0);
}
