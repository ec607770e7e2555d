/* render TEMPLATE.jinja VARIABLES.json: prints what the template makes of the variables. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "text/jinja.h"

int
main(int argc, char **argv)
{
	struct err e;
	struct buf text = {0}, out = {0};
	log_tool = "render";
	if (argc != 3)
		die_usage("two files are wanted");
	if (file_read(argv[1], 1 << 20, &text, &e) < 0)
		die(&e);
	json_t *root = json_read_file(argv[2], 1 << 24, &e), *value;
	struct jinja *t = root ? jinja_compile(argv[1], text.data, text.len, &e) : NULL;
	if (!t)
		die(&e);
	struct jinja_var *vars = xcalloc(json_object_size(root), sizeof *vars);
	size_t n = 0;
	const char *key;
	json_object_foreach(root, key, value)
		vars[n++] = (struct jinja_var){key, value};
	if (jinja_render(t, vars, n, &out, &e) < 0)
		die(&e);
	fwrite(out.data, 1, out.len, stdout);
	jinja_free(t);
	json_decref(root);
	free(vars);
	buf_release(&text);
	buf_release(&out);
	tool_exit(0);
}
