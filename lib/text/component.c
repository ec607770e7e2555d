#include "text/component.h"

#include <string.h>

#include "base/json.h"
#include "text/unicode.h"

const char *
component_type(const json_t *j, const char *what, struct err *e)
{
	const char *type = json_text(json_object_get(j, "type"));
	if (!type)
		err_set(e, ERR_CONFIG, "'%s' is not an object with a 'type'", what);
	return type;
}

int
component_unknown(const char *what, const char *type, struct err *e)
{
	return err_set(e, ERR_CONFIG, "%s of type '%.64s' is not supported", what, type);
}

int
component_each(const json_t *j, const char *what, const char *key, int depth,
	int (*load)(void *ctx, const json_t *j, int depth, struct err *e), void *ctx, struct err *e)
{
	const json_t *list = json_object_get(j, key), *item;
	size_t i;
	if (!json_is_array(list))
		return err_set(e, ERR_CONFIG, "%s of type 'Sequence' has no list '%s'", what, key);
	if (depth >= COMPONENT_DEPTH)
		return err_set(e, ERR_CONFIG, "%s: sequences nest deeper than %d", what, COMPONENT_DEPTH);
	json_array_foreach(list, i, item)
		if (load(ctx, item, depth + 1, e) < 0)
			return -1;
	return 0;
}

int
component_char(const json_t *j, const char *what, const char *key, char out[5], struct err *e)
{
	const json_t *v = json_object_get(j, key);
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);
	uint32_t c;
	if (!n || uni_decode(s, &c) != n)
		return err_set(e, ERR_CONFIG, "%s: '%s' is not one character", what, key);
	memcpy(out, s, n);
	out[n] = '\0';
	return 0;
}
