/* What things are made by and of, for people. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plain.h"
#include "verify.h"

/* `before`, and a string of o. */
static void
put(const char *before, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	fputs(before, stdout);
	plain_put(stdout, s && *s ? s : "unknown");
}

static void
show_settings(const json_t *settings, int indent)
{
	const char *key;
	json_t *v;
	if (json_object_size(settings) == 0)
		return;
	printf("%*swith", indent, "");
	json_object_foreach((json_t *)settings, key, v) {
		char *value = json_is_null(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
		if (value) {
			putchar(' ');
			plain_put(stdout, key);
			putchar('=');
			plain_put(stdout, value);
		}
		free(value);
	}
	putchar('\n');
}

static void
show(const json_t *p, int indent)
{
	size_t i;
	const json_t *one;
	printf("%*s", indent, "");
	put("made by ", p, "tool");
	put(" ", p, "version");
	put(" (", p, "commit");
	puts(")");
	show_settings(json_object_get(p, "settings"), indent);
	json_array_foreach(json_object_get(p, "inputs"), i, one) {
		const json_t *own = json_object_get(one, "provenance");
		printf("%*s", indent, "");
		put("of ", one, "what");
		put(" ", one, "fingerprint");
		if (json_is_string(json_object_get(one, "path")))
			put(" ", one, "path");
		putchar('\n');
		if (own && indent < 32)
			show(own, indent + 2);
	}
}

void
show_provenance(const json_t *p)
{
	show(p, 2);
}
