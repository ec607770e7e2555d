/* The short way of reading a record against jansson: what it takes, jansson takes too, with the same members. */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "text/fields.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part whole = {(const char *)data, size};
	char *line = fuzz_copy(whole);
	struct fields f = {0};
	struct err e;
	if (fields_read(&f, line, size)) {
		json_t *o = json_read("line", line, size, &e);
		FUZZ_CHECK(json_is_object(o) && json_object_size(o) == f.n);
		for (size_t i = 0; i < f.n; i++) {
			char *key = xstrndup(f.v[i].key, f.v[i].key_n);
			const json_t *v = json_object_get(o, key);
			FUZZ_CHECK(json_is_string(v) && json_string_length(v) == f.v[i].n &&
				memcmp(json_string_value(v), f.v[i].value, f.v[i].n) == 0);
			free(key);
		}
		json_decref(o);
	}
	fields_release(&f);
	free(line);
	return 0;
}
