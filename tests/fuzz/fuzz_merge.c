/* hone-merge: config.json and weights of a base, adapter_config.json and weights of an adapter, merged tensor by tensor. The
 * first byte chooses options. */
#include <sys/stat.h>

#include "../../tools/merge/merge.h"
#include "fuzz.h"

static int
take(void *ctx, const void *data, size_t bytes, struct err *e)
{
	size_t *sum = ctx;
	(void)e;
	for (size_t i = 0; i < bytes; i++)
		*sum += ((const uint8_t *)data)[i];
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned options = fuzz_byte(&rest);
	const char *base = fuzz_path("base"), *adapter = fuzz_path("adapter");
	mkdir(base, 0700);
	mkdir(adapter, 0700);
	fuzz_file("base/config.json", fuzz_part(&rest));
	fuzz_file("base/model.safetensors", fuzz_part(&rest));
	fuzz_file("adapter/adapter_config.json", fuzz_part(&rest));
	fuzz_file("adapter/adapter_model.safetensors", rest);
	const struct merge_options opt = {.model = base,
		.output = "out",
		.adapter = &adapter,
		.weight = &(double){0.5},
		.n_adapters = 1,
		.convert = options & 1,
		.dtype = options & 2 ? ST_F16 : ST_BF16,
		.untie = options & 4};
	struct plan p;
	struct err e;
	size_t sum = 0;
	int rc = plan_make(&p, &opt, &e);
	for (size_t i = 0; rc == 0 && i < p.n_jobs; i++)
		rc = merge_tensor(&p.job[i], take, &sum, &e);
	plan_release(&p);
	fuzz_clear();
	return 0;
}
