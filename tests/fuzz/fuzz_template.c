/* A chat template, and behind it a conversation in JSON; without one, a conversation of ours. */
#include "base/json.h"
#include "fuzz.h"
#include "text/jinja.h"

static json_t *
conversation(struct fuzz_part json)
{
	static const char usual[] =
		"{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"Hi <b>"
		"\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
		"\"arguments\":{\"x\":[1,2.5,null,true]}}}]},{\"role\":\"tool\",\"content\":\"4\"}],\"tools\":[{\"type\":\"function\","
		"\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],\"add_generation_prompt\":true,"
		"\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"n\":3}";
	struct err e;
	json_t *o = json.n ? json_read("conversation", json.p, json.n, &e) : NULL;
	return json_is_object(o) ? o : (json_decref(o), json_read("conversation", usual, sizeof usual - 1, &e));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { VARS = 16 };
	struct fuzz_part rest = {(const char *)data, size}, text = fuzz_part(&rest);
	struct err e;
	struct buf out = {0};
	char *copy = fuzz_copy(text);
	struct jinja *t = jinja_compile("template", copy, text.n, &e);
	if (t) {
		json_t *o = conversation(rest), *v;
		struct jinja_var vars[VARS];
		size_t n = 0;
		const char *key;
		json_object_foreach(o, key, v)
			if (n < VARS)
				vars[n++] = (struct jinja_var){key, v};
		jinja_render(t, vars, n, &out, &e);
		json_decref(o);
		jinja_free(t);
	}
	buf_release(&out);
	free(copy);
	return 0;
}
