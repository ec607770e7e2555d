/* A PEFT adapter on a small model: adapter_config.json and adapter_model.safetensors. What fits is run over a few tokens. */
#include <string.h>

#include "fuzz.h"
#include "fuzz_run.h"
#include "model/lora.h"

static const char config[] =
	"{\"model_type\":\"llama\",\"vocab_size\":8,\"hidden_size\":4,\"num_hidden_layers\":1,"
	"\"num_attention_heads\":2,\"num_key_value_heads\":1,\"intermediate_size\":6,\"max_position_embeddings\":16,"
	"\"rms_norm_eps\":1e-5}";

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
		fuzz_run(&m);
		adapter_config_release(&c);
	}
	model_release(&m);
	fuzz_clear();
	return 0;
}
