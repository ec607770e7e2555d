/* A PEFT adapter: adapter_config.json and adapter_model.safetensors. */
#include "fmt/adapter.h"
#include "fuzz.h"

static void
ask(const struct adapter_config *c)
{
	static const char *const modules[] = {"model.layers.0.self_attn.q_proj", "model.layers.11.mlp.up_proj",
		"lm_head", "model.embed_tokens", "h.0.attn.c_attn"};
	struct err e;
	double scale;
	int r;
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
		adapter_targets(c, modules[i], i == 2, &e);
		adapter_rank(c, modules[i], &r, &scale, &e);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct adapter_config c;
	struct adapter a;
	struct err e;
	fuzz_file("adapter_config.json", fuzz_part(&rest));
	fuzz_file("adapter_model.safetensors", rest);
	if (adapter_config_read(&c, fuzz_dir(), &e) == 0) {
		ask(&c);
		adapter_config_release(&c);
	}
	if (adapter_open(&a, fuzz_dir(), &e) == 0) {
		for (size_t i = 0; i < a.n_modules; i++)
			FUZZ_CHECK(a.module[i].A && a.module[i].B && a.module[i].r > 0);
		adapter_close(&a);
	}
	fuzz_clear();
	return 0;
}
