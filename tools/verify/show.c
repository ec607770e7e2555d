/* What things are made by and of, for people. */
#include <stdio.h>
#include <stdlib.h>

#include "verify.h"

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s && *s ? s : "unknown";
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
		if (value)
			printf(" %s=%s", key, value);
		free(value);
	}
	putchar('\n');
}

static void
show(const json_t *p, int indent)
{
	size_t i;
	const json_t *one;
	printf("%*smade by %s %s (%s)\n", indent, "", text(p, "tool"), text(p, "version"), text(p, "commit"));
	show_settings(json_object_get(p, "settings"), indent);
	json_array_foreach(json_object_get(p, "inputs"), i, one) {
		const json_t *own = json_object_get(one, "provenance"), *path = json_object_get(one, "path");
		printf("%*sof %s %s%s%s\n", indent, "", text(one, "what"), text(one, "fingerprint"), json_is_string(path) ? " " : "",
			json_is_string(path) ? json_string_value(path) : "");
		if (own && indent < 32)
			show(own, indent + 2);
	}
}

void
show_provenance(const json_t *p)
{
	show(p, 2);
}
