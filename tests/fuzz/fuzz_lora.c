/* A PEFT adapter on a small model: adapter_config.json and adapter_model.safetensors. What fits is run over a few tokens. */
#include <string.h>

#include "fuzz.h"
#include "model/lora.h"

enum { T = 3 };

static const char config[] =
	"{\"model_type\":\"llama\",\"vocab_size\":8,\"hidden_size\":4,\"num_hidden_layers\":1,"
	"\"num_attention_heads\":2,\"num_key_value_heads\":1,\"intermediate_size\":6,\"max_position_embeddings\":16,"
	"\"rms_norm_eps\":1e-5}";

static void
run(struct model *m)
{
	static const int32_t ids[T] = {1, 7, 2}, pos[T] = {0, 1, 2}, row = T - 1;
	const float weight = 1;
	const struct attn_doc doc = {.n = T};
	struct batch b = {.T = T,
		.ids = ids,
		.pos = pos,
		.docs = &doc,
		.n_docs = 1,
		.n_targets = 1,
		.target_row = &row,
		.target_id = ids,
		.target_weight = &weight};
	float nll;
	int32_t best;
	model_reserve(m, T, T, 0, KEEP_NOTHING);
	model_forward(m, &b);
	model_loss(m, &b, 0, &nll, &best);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct model m = {0};
	struct adapter_config c;
	struct err e;
	fuzz_file("adapter_config.json", fuzz_part(&rest));
	fuzz_file("adapter_model.safetensors", rest);
	fuzz_file("config.json", (struct fuzz_part){config, strlen(config)});
	FUZZ_CHECK(model_open(&m, fuzz_dir(), &(struct model_options){.from_scratch = true, .seed = 1}, &e) == 0);
	if (lora_open(&m, fuzz_dir(), false, &c, &e) == 0) {
		run(&m);
		adapter_config_release(&c);
	}
	model_release(&m);
	fuzz_clear();
	return 0;
}
