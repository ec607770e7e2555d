/* config.json in the spellings of several families and years, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/config.h"

#define DIMS "\"vocab_size\":37,\"hidden_size\":32,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"intermediate_size\":19,"
#define LLAMA "{\"model_type\":\"llama\"," DIMS "\"max_position_embeddings\":64"
#define PHI3 "{\"model_type\":\"phi3\"," DIMS "\"max_position_embeddings\":64"
#define NEOX "{\"model_type\":\"gpt_neox\"," DIMS "\"max_position_embeddings\":64"
#define GEMMA3 "{\"model_type\":\"gemma3_text\"," DIMS "\"max_position_embeddings\":64"
#define GPT2 "{\"model_type\":\"gpt2\",\"vocab_size\":37,\"n_embd\":32,\"n_layer\":4,\"n_head\":4,\"n_positions\":64"

static char dir[] = "/tmp/test-config-XXXXXX";

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	struct err e;
	return path_remove(dir, &e);
}

static int
read_text(struct config *c, const char *text, struct err *e)
{
	char *path = path_join(dir, "config.json");
	assert_int_equal(file_write(path, true, text, strlen(text), e), 0);
	free(path);
	return config_read(c, dir, e);
}

static struct config
accepted(const char *text)
{
	struct config c;
	struct err e;
	if (read_text(&c, text, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static void
refused(const char *text, const char *why)
{
	struct config c;
	struct err e;
	assert_int_equal(read_text(&c, text, &e), -1);
	if (!strstr(e.msg, why))
		fail_msg("'%s' does not say \"%s\"", e.msg, why);
	assert_int_equal(e.code, ERR_CONFIG);
}

static void
test_gpt2(void **state)
{
	(void)state;
	struct config c = accepted(GPT2 ",\"n_inner\":null,\"activation_function\":\"gelu_new\"}");
	assert_int_equal(c.C, 32);
	assert_int_equal(c.D, 8);
	assert_int_equal(c.K, 4);
	assert_int_equal(c.F, 128);
	assert_int_equal(c.max_position, 64);
	assert_int_equal(c.n_ropes, 0);
	assert_int_equal(c.layer[3].rope, -1);
	assert_int_equal(c.activation, ACT_GELU_TANH);
	assert_true(c.tied && c.qkv_bias && c.o_bias && c.mlp_bias);
	assert_true(c.norm_eps == 1e-5);
	config_release(&c);

	c = accepted(GPT2 ",\"scale_attn_weights\":false,\"scale_attn_by_inverse_layer_idx\":true,"
		"\"layer_norm_epsilon\":1e-3,\"tie_word_embeddings\":false}");
	assert_true(c.layer[0].attention_scale == 1 && c.layer[3].attention_scale == 0.25f);
	assert_true(c.norm_eps == 1e-3 && !c.tied);
	config_release(&c);

	refused(GPT2 ",\"add_cross_attention\":true}", "'add_cross_attention'");
	refused("{\"model_type\":\"gpt2\",\"vocab_size\":37,\"n_embd\":32,\"n_layer\":4,\"n_head\":5}", "n_embd 32 is not a multiple of n_head 5");
	refused(GPT2 ",\"activation_function\":\"mish\"}", "'activation_function' is 'mish'");
}

static void
test_gpt_neox(void **state)
{
	(void)state;
	struct config c = accepted(NEOX ",\"rotary_pct\":0.5,\"rotary_emb_base\":777,\"layer_norm_eps\":1e-4}");
	assert_true(c.parallel && c.qkv_bias && c.mlp_bias && !c.tied);
	assert_int_equal(c.rope[0].rotary, 4);
	assert_true(c.rope[0].theta == 777 && c.norm_eps == 1e-4);
	assert_int_equal(c.activation, ACT_GELU);
	config_release(&c);
	c = accepted(NEOX ",\"use_parallel_residual\":false,\"attention_bias\":false,\"rope_parameters\":{\"rope_theta\":5,"
		"\"partial_rotary_factor\":0.75,\"rope_type\":\"default\"}}");
	assert_true(!c.parallel && !c.qkv_bias && !c.o_bias && c.mlp_bias);
	assert_int_equal(c.rope[0].rotary, 6);
	assert_true(c.rope[0].theta == 5);
	config_release(&c);
	c = accepted(NEOX "}");
	assert_int_equal(c.rope[0].rotary, 2);  /* a quarter */
	config_release(&c);
	refused(NEOX ",\"rotary_pct\":0.4}", "'rotary_pct' 0.4 of a head of 8");
	refused(NEOX ",\"rotary_pct\":0}", "'rotary_pct' 0 of a head of 8");
	refused(NEOX ",\"rotary_pct\":1.5}", "'rotary_pct' 1.5 of a head of 8");
}

/* The same model as old files and new ones say it. */
static void
test_gemma3(void **state)
{
	(void)state;
	static const char *const spellings[] = {
		GEMMA3 ",\"head_dim\":16,\"sliding_window\":5,\"sliding_window_pattern\":2,\"rope_theta\":900,"
			"\"rope_local_base_freq\":30,\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"},\"query_pre_attn_scalar\":64}",
		GEMMA3 ",\"head_dim\":16,\"sliding_window\":5,\"layer_types\":[\"sliding_attention\",\"full_attention\","
			"\"sliding_attention\",\"full_attention\"],\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\","
			"\"factor\":8.0,\"rope_theta\":900},\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":30}},"
			"\"query_pre_attn_scalar\":64,\"attn_logit_softcapping\":null,\"use_bidirectional_attention\":false}",
	};
	for (int s = 0; s < 2; s++) {
		struct config c = accepted(spellings[s]);
		assert_int_equal(c.n_ropes, 2);
		assert_true(c.rope[0].theta == 900 && c.rope[0].type == ROPE_LINEAR && c.rope[0].factor == 8);
		assert_true(c.rope[1].theta == 30 && c.rope[1].type == ROPE_DEFAULT && c.rope[1].rotary == 16);
		for (int l = 0; l < 4; l++) {
			assert_int_equal(c.layer[l].window, l % 2 ? 0 : 5);
			assert_int_equal(c.layer[l].rope, l % 2 ? 0 : 1);
			assert_true(c.layer[l].attention_scale == 0.125f);
		}
		assert_true(c.tied && fabs(c.embedding_scale - sqrt(32)) < 1e-12);
		assert_int_equal(c.activation, ACT_GELU_TANH);
		config_release(&c);
	}
	struct config c = accepted(GEMMA3 "}");
	assert_int_equal(c.D, 256);
	assert_int_equal(c.layer[3].window, 4096);
	assert_true(c.rope[0].theta == 1e6 && c.rope[1].theta == 1e4);
	config_release(&c);
	refused(GEMMA3 ",\"attn_logit_softcapping\":50.0}", "'attn_logit_softcapping'");
	refused(GEMMA3 ",\"final_logit_softcapping\":30.0}", "'final_logit_softcapping'");
	refused(GEMMA3 ",\"use_bidirectional_attention\":true}", "'use_bidirectional_attention'");
	refused(GEMMA3 ",\"layer_types\":[\"sliding_attention\"]}", "'layer_types' has nothing for layer 1");
	refused(GEMMA3 ",\"layer_types\":[\"sliding_attention\\u0000\"]}", "'layer_types' has nothing for layer 0");
	refused(GEMMA3 ",\"layer_types\":[\"chunked_attention\"]}", "'layer_types' has chunked_attention");
}

#define LISTS "\"short_factor\":[1,1,2],\"long_factor\":[2,3,4]"

static void
test_phi3(void **state)
{
	(void)state;
	struct config c = accepted(PHI3 ",\"partial_rotary_factor\":0.75,\"original_max_position_embeddings\":16,\"sliding_window\":9,"
		"\"rope_scaling\":{\"type\":\"longrope\"," LISTS "}}");
	assert_int_equal(c.rope[0].type, ROPE_LONGROPE);
	assert_int_equal(c.rope[0].rotary, 6);
	assert_int_equal(c.rope[0].original_max_position, 16);
	assert_true(c.rope[0].long_factor[2] == 4 && c.rope[0].short_factor[2] == 2);
	assert_true(fabs((double)c.rope[0].attention_factor - sqrt(1 + log(4) / log(16))) < 1e-7);
	assert_int_equal(c.layer[1].window, 9);
	config_release(&c);
	c = accepted(PHI3 ",\"rope_scaling\":null,\"sliding_window\":null}");
	assert_int_equal(c.rope[0].type, ROPE_DEFAULT);
	assert_int_equal(c.layer[1].window, 0);
	config_release(&c);
	/* What transformers takes for it where the file does not say. */
	c = accepted(PHI3 ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"partial_rotary_factor\":0.75," LISTS "}}");
	assert_int_equal(c.rope[0].type, ROPE_LONGROPE);
	assert_int_equal(c.rope[0].original_max_position, 4096);
	assert_true(c.rope[0].attention_factor == 1);
	config_release(&c);
	refused(PHI3 ",\"rope_scaling\":{\"type\":\"su\"," LISTS "}}", "'short_factor' has 3 factors, 4 are wanted");
	refused(PHI3 ",\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,2,3,4]}}", "'long_factor' has 0 factors");
	refused(PHI3 ",\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,2,0,4]}}", "factor 2 of 'short_factor'");
	refused(PHI3 ",\"original_max_position_embeddings\":1,\"partial_rotary_factor\":0.75,\"rope_scaling\":{\"type\":\"su\","
		LISTS "}}", "attention factor");
}

static void
test_scalings(void **state)
{
	(void)state;
	struct config c = accepted(LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5,"
		"\"original_max_position_embeddings\":7}}");
	assert_int_equal(c.rope[0].type, ROPE_DYNAMIC);
	assert_int_equal(c.rope[0].original_max_position, 64);
	config_release(&c);
	c = accepted(LLAMA ",\"rope_theta\":3,\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":500,\"factor\":4,"
		"\"original_max_position_embeddings\":16,\"beta_fast\":9,\"mscale\":0.7,\"mscale_all_dim\":0.5,\"truncate\":false}}");
	assert_true(c.rope[0].theta == 500 && c.rope[0].beta_fast == 9 && c.rope[0].beta_slow == 1 && !c.rope[0].truncate);
	assert_int_equal(c.rope[0].original_max_position, 16);
	double want = (0.07 * log(4) + 1) / (0.05 * log(4) + 1);
	assert_true(fabs((double)c.rope[0].attention_factor - want) < 1e-7);
	config_release(&c);
	c = accepted(LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":1.5}}");
	assert_int_equal(c.rope[0].original_max_position, 64);
	assert_true(c.rope[0].attention_factor == 1.5f);
	config_release(&c);
	refused(LLAMA ",\"rope_scaling\":{\"rope_type\":\"mrope\"}}", "rope scaling 'mrope' is not supported");
	refused(LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":0.5}}", "'linear' lacks a sensible factor");
	refused(LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2,\"beta_slow\":-1}}", "'yarn' lacks a sensible beta_fast");
	refused(LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2}}", "low_freq_factor");
	refused(LLAMA ",\"rope_theta\":0}", "'rope_theta' is 0");
	refused(LLAMA ",\"partial_rotary_factor\":0.5}", "'partial_rotary_factor' is 0.5, and a llama model");
	refused(LLAMA ",\"head_dim\":7}", "'partial_rotary_factor' 1 of a head of 7");
}

static void
test_smollm3(void **state)
{
	(void)state;
	struct config c = accepted("{\"model_type\":\"smollm3\"," DIMS "\"max_position_embeddings\":64}");
	for (int l = 0; l < 4; l++)
		assert_int_equal(c.layer[l].rope, l == 3 ? -1 : 0);
	config_release(&c);
	c = accepted("{\"model_type\":\"smollm3\"," DIMS "\"max_position_embeddings\":64,\"no_rope_layers\":[0,1,1,0]}");
	for (int l = 0; l < 4; l++)
		assert_int_equal(c.layer[l].rope, l % 3 ? 0 : -1);
	config_release(&c);
	refused("{\"model_type\":\"smollm3\"," DIMS "\"no_rope_layers\":[0,1,1]}", "'no_rope_layers' has 3 members");
}

static void
test_refused(void **state)
{
	(void)state;
	refused("{\"model_type\":\"mamba\"}", "'mamba' is not supported (gemma, gemma3_text, gpt2, gpt_neox, llama, ");
	refused("{}", "'model_type' is missing");
	refused(LLAMA ",\"quantization_config\":{\"bits\":4}}", "'quantization_config'");
	refused(LLAMA ",\"num_key_value_heads\":3}", "num_attention_heads 4 is not a multiple of num_key_value_heads 3");
	refused("{\"model_type\":\"llama\",\"vocab_size\":5}", "'hidden_size' is missing");
	refused(LLAMA ",\"head_dim\":8194}", "a head of 8194 is more than 8192");
	refused("{\"model_type\":\"gpt2\",\"vocab_size\":37,\"n_embd\":16384,\"n_layer\":1,\"n_head\":1}", "a head of 16384");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpt2),
		cmocka_unit_test(test_gpt_neox),
		cmocka_unit_test(test_gemma3),
		cmocka_unit_test(test_phi3),
		cmocka_unit_test(test_scalings),
		cmocka_unit_test(test_smollm3),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
