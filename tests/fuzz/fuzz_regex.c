/* A pattern of a tokenizer.json, and behind it a text that it is matched with. */
#include "fuzz.h"
#include "text/pattern.h"
#include "text/unicode.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size}, regex = fuzz_part(&rest);
	json_t *j = json_pack("{s:s%}", "Regex", regex.p, regex.n);
	struct err e;
	struct pattern *p = j ? pattern_load(j, "pattern", &e) : NULL;
	if (p && uni_check(rest.p, rest.n) == rest.n) {
		struct matcher *m = matcher_new();
		struct matches it;
		size_t start, end, last = 0;
		char *text = fuzz_copy(rest);
		matches_start(&it, p, m, text, rest.n);
		while (matches_next(&it, &start, &end, &e) > 0) {
			FUZZ_CHECK(last <= start && start <= end && end <= rest.n);
			last = end;
		}
		free(text);
		matcher_free(m);
	}
	pattern_free(p);
	json_decref(j);
	return 0;
}
