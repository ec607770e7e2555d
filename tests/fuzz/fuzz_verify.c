/* hone-verify. The low bits of the first byte say of what: a file; an adapter with its provenance; a run with its logs and
 * an adapter. The third bit has the hashes set right first: the manifest, or the checksum of an object. */
#include <sys/stat.h>

#include "../../tools/verify/verify.h"
#include "base/file.h"
#include "base/json.h"
#include "base/provenance.h"
#include "fmt/manifest.h"
#include "fuzz.h"

static void
tell(void *ctx, const struct thing *t, int rc, struct err *e)
{
	long *told = ctx;
	++*told;
	FUZZ_CHECK(t->kind && (rc == 0 || (e->code && e->msg[0])));
	if (t->provenance)
		show_provenance(t->provenance);
}

static void
put_file(struct fuzz_part content, bool right)
{
	struct err e;
	json_t *o = right ? json_loadb(content.p, content.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL;
	const char *path = fuzz_file("file", content);
	if (json_is_object(o)) {
		json_seal(o);
		json_write_file(path, true, o, 0, "\n", &e);
	}
	json_decref(o);
}

static void
put_adapter(const char *dir, struct fuzz_part *rest, bool right)
{
	static const char *const names[] = {"provenance.json", "adapter_config.json", "adapter_model.safetensors", MANIFEST};
	struct err e;
	mkdir(fuzz_path(dir), 0700);
	for (size_t i = 0; i < sizeof names / sizeof *names - right; i++) {
		char *name = path_join(dir, names[i]);
		fuzz_file(name, fuzz_part(rest));
		free(name);
	}
	if (right)
		manifest_write(fuzz_path(dir), NULL, NULL, &e);
}

static void
put_run(struct fuzz_part *rest, bool right)
{
	static const char *const names[] = {"run/run.json", "run/metrics.jsonl", "run/predictions.jsonl"};
	struct err e;
	mkdir(fuzz_path("run"), 0700);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		fuzz_file(names[i], fuzz_part(rest));
	put_adapter("run/final", rest, right);
	if (right)
		manifest_write(fuzz_path("run"), manifest_of_run, NULL, &e);
	else
		fuzz_file("run/" MANIFEST, *rest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned kind = fuzz_byte(&rest);
	struct err e;
	long told = 0;
	if ((kind & 3) == 0)
		put_file(rest, kind & 4);
	else if ((kind & 3) == 1)
		put_adapter("adapter", &rest, kind & 4);
	else
		put_run(&rest, kind & 4);
	FUZZ_CHECK(verify_path(fuzz_dir(), tell, &told, &e) == told);
	fuzz_clear();
	return 0;
}
