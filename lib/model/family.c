#include "model/family.h"

#include <stdio.h>
#include <string.h>

/* ---- keys of config.json ---- */

static const struct family_keys llama_keys = {
	.hidden = "hidden_size", .layers = "num_hidden_layers", .heads = "num_attention_heads",
	.kv_heads = "num_key_value_heads", .feed_forward = "intermediate_size",
	.max_position = "max_position_embeddings", .norm_eps = "rms_norm_eps", .activation = "hidden_act",
	.rope_theta = "rope_theta", .partial_rotary = "partial_rotary_factor",
};

static const struct family_keys gemma3_keys = {
	.hidden = "hidden_size", .layers = "num_hidden_layers", .heads = "num_attention_heads",
	.kv_heads = "num_key_value_heads", .feed_forward = "intermediate_size",
	.max_position = "max_position_embeddings", .norm_eps = "rms_norm_eps", .activation = "hidden_activation",
	.rope_theta = "rope_theta", .partial_rotary = "partial_rotary_factor",
};

static const struct family_keys neox_keys = {
	.hidden = "hidden_size", .layers = "num_hidden_layers", .heads = "num_attention_heads",
	.feed_forward = "intermediate_size", .max_position = "max_position_embeddings",
	.norm_eps = "layer_norm_eps", .activation = "hidden_act", .rope_theta = "rotary_emb_base", .partial_rotary = "rotary_pct",
};

static const struct family_keys gpt2_keys = {
	.hidden = "n_embd", .layers = "n_layer", .heads = "n_head", .feed_forward = "n_inner",
	.max_position = "n_positions", .norm_eps = "layer_norm_epsilon", .activation = "activation_function",
};

/* ---- names of tensors ---- */

static const struct family_names llama_names = {
	.decoder = "model", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .head = "lm_head",
	.qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, .o = "self_attn.o_proj",
	.up = {"mlp.gate_proj", "mlp.up_proj"}, .down = "mlp.down_proj",
	.attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm",
	.buffers = {"rotary_emb.inv_freq"},
};

static const struct family_names qwen3_names = {
	.decoder = "model", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .head = "lm_head",
	.qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, .o = "self_attn.o_proj",
	.up = {"mlp.gate_proj", "mlp.up_proj"}, .down = "mlp.down_proj",
	.q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
	.attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm",
	.buffers = {"rotary_emb.inv_freq"},
};

static const struct family_names phi3_names = {
	.decoder = "model", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .head = "lm_head",
	.qkv = {"self_attn.qkv_proj"}, .o = "self_attn.o_proj", .up = {"mlp.gate_up_proj"}, .down = "mlp.down_proj",
	.attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm",
	.buffers = {"rotary_emb.inv_freq"},
};

static const struct family_names gemma3_names = {
	.decoder = "model", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .head = "lm_head",
	.qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, .o = "self_attn.o_proj",
	.up = {"mlp.gate_proj", "mlp.up_proj"}, .down = "mlp.down_proj",
	.q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
	.attn_norm = "input_layernorm", .attn_post_norm = "post_attention_layernorm",
	.mlp_norm = "pre_feedforward_layernorm", .mlp_post_norm = "post_feedforward_layernorm",
};

static const struct family_names neox_names = {
	.decoder = "gpt_neox", .embed = "embed_in", .layers = "layers", .final_norm = "final_layer_norm",
	.head = "lm_head", .stored_head = "embed_out.weight",
	.qkv = {"attention.query_key_value"}, .o = "attention.dense",
	.up = {"mlp.dense_h_to_4h"}, .down = "mlp.dense_4h_to_h",
	.attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm",
	.buffers = {"attention.bias", "attention.masked_bias", "rotary_emb.inv_freq"},
};

static const struct family_names gpt2_names = {
	.decoder = "transformer", .embed = "wte", .positions = "wpe", .layers = "h", .final_norm = "ln_f",
	.head = "lm_head",
	.qkv = {"attn.c_attn"}, .o = "attn.c_proj", .up = {"mlp.c_fc"}, .down = "mlp.c_proj",
	.attn_norm = "ln_1", .mlp_norm = "ln_2",
	.buffers = {"attn.bias", "attn.masked_bias"},
};

/* ---- the families ---- */

static const struct family families[] = {
	{
		.model_type = "gemma", .keys = &llama_keys, .names = &llama_names,
		.norm = NORM_RMS_OFFSET, .gated = true, .padded = true, .scaled_embedding = true,
		.qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED,
		.norm_eps = 1e-6, .activation = "gelu_pytorch_tanh", .tied = true, .head_dim = 256, .theta = 10000,
	},
	{
		.model_type = "gemma3_text", .keys = &gemma3_keys, .names = &gemma3_names,
		.norm = NORM_RMS_OFFSET, .gated = true, .padded = true, .scaled_embedding = true,
		.qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED, .window = WINDOW_PATTERN,
		.norm_eps = 1e-6, .activation = "gelu_pytorch_tanh", .tied = true, .head_dim = 256, .window_size = 4096,
		.score_scalar = 256, .theta = 1000000, .local_theta = 10000,
	},
	{
		.model_type = "gpt2", .keys = &gpt2_keys, .names = &gpt2_names,
		.norm = NORM_LAYER, .conv1d = true, .qkv_bias = BIAS_ALWAYS, .o_bias = BIAS_ALWAYS, .mlp_bias = BIAS_ALWAYS,
		.norm_eps = 1e-5, .activation = "gelu_new", .tied = true, .scaled_init = true,
	},
	{
		.model_type = "gpt_neox", .keys = &neox_keys, .names = &neox_names,
		.norm = NORM_LAYER, .parallel = true, .interleaved = true,
		.qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED, .mlp_bias = BIAS_ALWAYS,
		.norm_eps = 1e-5, .activation = "gelu", .attention_bias = true, .theta = 10000, .partial = 0.25,
	},
	{
		.model_type = "llama", .keys = &llama_keys, .names = &llama_names,
		.gated = true, .padded = true, .qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED, .mlp_bias = BIAS_ASKED,
		.norm_eps = 1e-6, .activation = "silu", .theta = 10000,
	},
	{
		.model_type = "mistral", .keys = &llama_keys, .names = &llama_names,
		.gated = true, .padded = true, .window = WINDOW_ALWAYS,
		.norm_eps = 1e-6, .activation = "silu", .window_size = 4096, .theta = 10000,
	},
	{
		.model_type = "phi3", .keys = &llama_keys, .names = &phi3_names,
		.gated = true, .padded = true, .window = WINDOW_ALWAYS,
		.norm_eps = 1e-5, .activation = "silu", .theta = 10000, .partial = 1, .original_max_position = 4096,
	},
	{
		.model_type = "qwen2", .keys = &llama_keys, .names = &llama_names,
		.gated = true, .padded = true, .qkv_bias = BIAS_ALWAYS, .window = WINDOW_SWITCH,
		.norm_eps = 1e-6, .activation = "silu", .window_size = 4096, .theta = 10000,
	},
	{
		.model_type = "qwen3", .keys = &llama_keys, .names = &qwen3_names,
		.gated = true, .padded = true, .qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED, .window = WINDOW_SWITCH,
		.norm_eps = 1e-6, .activation = "silu", .head_dim = 128, .window_size = 4096, .theta = 10000,
	},
	{
		.model_type = "smollm3", .keys = &llama_keys, .names = &llama_names,
		.gated = true, .padded = true, .no_rope_layers = true, .qkv_bias = BIAS_ASKED, .o_bias = BIAS_ASKED, .mlp_bias = BIAS_ASKED,
		.window = WINDOW_SWITCH,
		.norm_eps = 1e-6, .activation = "silu", .tied = true, .theta = 2000000,
	},
};

enum { N_FAMILIES = sizeof families / sizeof *families };

const struct family *
family_find(const char *model_type)
{
	for (size_t i = 0; i < N_FAMILIES; i++)
		if (strcmp(families[i].model_type, model_type) == 0)
			return &families[i];
	return NULL;
}

const char *
family_list(void)
{
	static char list[32 * N_FAMILIES];
	for (size_t i = 0, n = 0; i < N_FAMILIES; i++)
		n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", families[i].model_type);
	return list;
}
