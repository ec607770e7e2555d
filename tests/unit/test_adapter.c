/* fmt/adapter: configurations read, refused, made and written; rules for names; tensors put in place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "fmt/adapter.h"

static char dir[] = "/tmp/test-adapter-XXXXXX";

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

static void
put_config(const char *text)
{
	struct err e;
	char *path = path_join(dir, "adapter_config.json");
	assert_int_equal(file_write(path, true, text, strlen(text), &e), 0);
	free(path);
}

static void
read_config(struct adapter_config *c, const char *text)
{
	struct err e;
	put_config(text);
	if (adapter_config_read(c, dir, &e) < 0)
		fail_msg("%s", e.msg);
	assert_null(c->unknown);
}

static void
refused(const char *text, int code, const char *why)
{
	struct err e;
	struct adapter_config c;
	put_config(text);
	assert_int_equal(adapter_config_read(&c, dir, &e), -1);
	assert_int_equal(e.code, code);
	if (!strstr(e.msg, why) || !strstr(e.msg, "adapter_config.json"))
		fail_msg("'%s' does not say '%s'", e.msg, why);
}

#define LORA "{\"peft_type\":\"LORA\","

static void
test_config_refused(void **state)
{
	(void)state;
	static const char *const set[] = {"alora_invocation_tokens", "arrow_config", "kasa_config",
		"layer_replication", "lora_ga_config", "monteclora_config", "target_parameters",
		"trainable_token_indices", "use_bdlora", "velora_config"};
	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		char text[128];
		snprintf(text, sizeof text, LORA "\"%s\":[1]}", set[i]);
		refused(text, ERR_CONFIG, set[i]);
		struct adapter_config c;
		snprintf(text, sizeof text, LORA "\"%s\":null}", set[i]);
		read_config(&c, text);
		adapter_config_release(&c);
	}
	refused(LORA "\"use_qalora\":true}", ERR_CONFIG, "'use_qalora' is set");
	refused(LORA "\"lora_bias\":true}", ERR_CONFIG, "'lora_bias' is set");
	refused("{\"peft_type\":\"IA3\"}", ERR_CONFIG, "'peft_type' is 'IA3'");
	refused("{}", ERR_CONFIG, "'peft_type' is 'missing'");
	refused("[]", ERR_DATA, "not an object");
	refused("{", ERR_DATA, "adapter_config.json");
	refused(LORA "\"init_lora_weights\":\"pissa_niter_16\"}", ERR_CONFIG, "'pissa_niter_16', which changes");
	refused(LORA "\"init_lora_weights\":\"olora\"}", ERR_CONFIG, "'olora'");
	refused(LORA "\"init_lora_weights\":\"corda\"}", ERR_CONFIG, "'corda'");
	refused(LORA "\"init_lora_weights\":\"loftq\"}", ERR_CONFIG, "'loftq'");
	refused(LORA "\"r\":0}", ERR_CONFIG, "'r' is 0");
	refused(LORA "\"r\":2.5}", ERR_CONFIG, "'r' is not a whole number");
	refused(LORA "\"bias\":\"some\"}", ERR_CONFIG, "'bias'");
	refused(LORA "\"lora_dropout\":1}", ERR_CONFIG, "'lora_dropout'");
	refused(LORA "\"target_modules\":[1]}", ERR_CONFIG, "'target_modules'");
	refused(LORA "\"modules_to_save\":\"lm_head\"}", ERR_CONFIG, "'modules_to_save'");
	refused(LORA "\"modules_to_save\":[\"lm_head\",\"\"]}", ERR_CONFIG, "'modules_to_save'");
	refused(LORA "\"modules_to_save\":[\"\\u0000d\"]}", ERR_CONFIG, "'modules_to_save'");
	refused(LORA "\"target_modules\":[\"q_proj\\u0000\"]}", ERR_CONFIG, "'target_modules'");
	refused(LORA "\"target_modules\":\".*q_proj\\u0000\"}", ERR_CONFIG, "'target_modules'");
	refused(LORA "\"init_lora_weights\":\"gaussian\\u0000\"}", ERR_CONFIG, "'init_lora_weights'");
	refused(LORA "\"rank_pattern\":[]}", ERR_CONFIG, "'rank_pattern'");
	refused(LORA "\"rank_pattern\":{\"q\":0}}", ERR_CONFIG, "'rank_pattern': the value of 'q'");
	refused(LORA "\"alpha_pattern\":{\"q\":\"x\"}}", ERR_CONFIG, "'alpha_pattern': the value of 'q'");
	refused(LORA "\"layers_to_transform\":\"x\"}", ERR_CONFIG, "'layers_to_transform'");
}

static void
test_config_missing(void **state)
{
	(void)state;
	struct err e;
	struct adapter_config c;
	assert_int_equal(adapter_config_read(&c, "/nonexistent", &e), -1);
	assert_int_equal(e.code, ERR_NOINPUT);
}

static void
test_config_defaults_and_unknown(void **state)
{
	(void)state;
	struct err e;
	struct adapter_config c;
	put_config(LORA "\"new_thing\":1,\"other\":null,\"init_lora_weights\":\"gaussian\"}");
	assert_int_equal(adapter_config_read(&c, dir, &e), 0);
	assert_string_equal(c.unknown, "new_thing, other");
	assert_int_equal(c.r, 8);
	assert_true(c.lora_alpha == 8 && c.lora_dropout == 0);
	assert_string_equal(c.bias, "none");
	assert_null(c.modules_to_save);
	adapter_config_release(&c);
}

/* A made configuration has exactly PEFT's keys, and comes back from its file as it went in. */
static void
test_config_new(void **state)
{
	(void)state;
	struct err e;
	json_t *targets = json_pack("[s, s]", "q_proj", "v_proj");
	struct adapter_config want = {.r = 16, .lora_alpha = 32, .lora_dropout = 0.05, .use_rslora = true,
		.base_model = "org/\xc3\xa9t\xc3\xa9", .target_modules = targets};
	struct adapter_config made, back;
	adapter_config_new(&made, &want);
	assert_int_equal(json_object_size(made.root), 41);
	assert_int_equal(adapter_config_write(&made, dir, &e), 0);
	assert_int_equal(adapter_config_read(&back, dir, &e), 0);
	assert_null(back.unknown);
	assert_true(json_equal(made.root, back.root));
	assert_int_equal(back.r, 16);
	assert_true(back.lora_dropout == 0.05 && back.lora_alpha == 32 && back.use_rslora && !back.use_dora);
	assert_string_equal(back.base_model, want.base_model);
	assert_true(json_is_true(json_object_get(back.root, "inference_mode")));
	struct buf text = {0};
	char *path = path_join(dir, "adapter_config.json");
	assert_int_equal(file_read(path, 1 << 16, &text, &e), 0);
	assert_non_null(strstr(text.data, "\n  \"lora_alpha\": 32,\n"));
	assert_non_null(strstr(text.data, "\n  \"lora_dropout\": 0.05,\n"));
	assert_non_null(
		strstr(text.data, "\n  \"target_modules\": [\n    \"q_proj\",\n    \"v_proj\"\n  ],\n"));
	assert_int_equal(text.data[text.len - 1], '}');
	buf_release(&text);
	free(path);
	adapter_config_release(&made);
	adapter_config_release(&back);
	json_decref(targets);
}

static void
check_rank(const struct adapter_config *c, const char *module, int r, double scale)
{
	struct err e;
	int got_r;
	double got;
	assert_int_equal(adapter_rank(c, module, &got_r, &got, &e), 0);
	assert_int_equal(got_r, r);
	assert_true(fabs(got - scale) < 1e-12);
}

static void
test_rank(void **state)
{
	(void)state;
	struct err e;
	struct adapter_config c;
	int r;
	double scale;
	read_config(&c, LORA "\"r\":4,\"lora_alpha\":12,\"rank_pattern\":{\"q_proj\":2,\"layers.1.*\":16},"
		"\"alpha_pattern\":{\"layers\\\\.(0|1)\\\\.mlp.up\":1}}");
	check_rank(&c, "model.layers.0.v_proj", 4, 3);
	check_rank(&c, "model.layers.0.q_proj", 2, 6);
	check_rank(&c, "q_proj", 2, 6);
	check_rank(&c, "model.layers.0.xq_proj", 4, 3);
	check_rank(&c, "model.layers.1.q_proj", 2, 6);  /* the first key that matches */
	check_rank(&c, "model.layers.1.v_proj", 16, 0.75);
	check_rank(&c, "model.layers.0.mlp.up", 4, 0.25);
	check_rank(&c, "model.layers.2.mlp.up", 4, 3);
	adapter_config_release(&c);
	read_config(&c, LORA "\"r\":4,\"lora_alpha\":12,\"use_rslora\":true}");
	check_rank(&c, "x", 4, 6);
	adapter_config_release(&c);
	read_config(&c, LORA "\"rank_pattern\":{\"(\":2}}");
	assert_int_equal(adapter_rank(&c, "x", &r, &scale, &e), -1);
	assert_int_equal(e.code, ERR_CONFIG);
	adapter_config_release(&c);
}

static int
targets(const char *config, const char *module, bool head)
{
	struct err e;
	struct adapter_config c;
	char text[512];
	snprintf(text, sizeof text, LORA "%s}", config);
	read_config(&c, text);
	int rc = adapter_targets(&c, module, head, &e);
	adapter_config_release(&c);
	return rc;
}

static void
test_targets(void **state)
{
	(void)state;
	const char *list = "\"target_modules\":[\"q_proj\",\"mlp.up\",\"model.layers.3.v_proj\"]";
	const char *some = "\"target_modules\":[\"q_proj\",\"h.7.q\"],\"layers_to_transform\":[1,10]";
	const char *one =
		"\"target_modules\":[\"q\"],\"layers_to_transform\":2,\"layers_pattern\":\"blocks\"";
	const char *all = "\"target_modules\":\"all-linear\",\"exclude_modules\":[\"down\"]";
	const char *regex =
		"\"target_modules\":\".*(q|v)_proj\",\"exclude_modules\":\"model\\\\.layers\\\\.0\\\\..*\"";
	const char *m0 = "model.layers.0.q_proj", *m1 = "model.layers.1.q_proj",
		   *m10 = "model.layers.10.q_proj";
	assert_int_equal(targets(list, m0, false), 1);
	assert_int_equal(targets(list, "q_proj", false), 1);
	assert_int_equal(targets(list, "xq_proj", false), 0);
	assert_int_equal(targets(list, "model.layers.0.mlp.up", false), 1);
	assert_int_equal(targets(list, "model.layers.3.v_proj", false), 1);
	assert_int_equal(targets(list, "model.layers.1.v_proj", false), 0);
	assert_int_equal(targets(some, m1, false), 1);
	assert_int_equal(targets(some, m10, false), 1);
	assert_int_equal(targets(some, m0, false), 0);
	assert_int_equal(targets(some, "h.7.q", false), 1);  /* named in full: layers do not count */
	assert_int_equal(targets(some, "model.q_proj", false), 0);
	assert_int_equal(targets(one, "net.blocks.2.q", false), 1);
	assert_int_equal(targets(one, "net.layers.2.q", false), 0);
	assert_int_equal(targets(all, m0, false), 1);
	assert_int_equal(targets(all, "lm_head", true), 0);
	assert_int_equal(targets(all, "a.down", false), 0);
	assert_int_equal(targets(regex, m0, false), 0);
	assert_int_equal(targets(regex, m1, false), 1);
	assert_int_equal(targets(regex, "model.layers.1.q_proj.x", false), 0);
	assert_int_equal(targets("\"target_modules\":\"a|ab\"", "ab", false), 1);
	assert_int_equal(targets("\"target_modules\":\"(\"", "ab", false), -1);
	assert_int_equal(targets("\"target_modules\":\"(a|aa)+[bc]\"",
				 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
		-1);
	assert_int_equal(targets("\"r\":8", "ab", false), 0);
}

/* ---- tensors ---- */

/* Writes adapter_model.safetensors with these keys; shape [2, 3] for A, [4, 2] for B, [4] otherwise. */
static void
put_tensors(const char *const *key, size_t n)
{
	struct err e;
	struct st_tensor decl[8] = {0};
	static const float zeros[8];
	char *path = path_join(dir, "adapter_model.safetensors");
	for (size_t i = 0; i < n; i++) {
		decl[i] = (struct st_tensor){.name = key[i], .dtype = ST_F32, .rank = 1, .shape = {4}};
		if (strstr(key[i], "lora_A") || strstr(key[i], "embedding_A"))
			decl[i].rank = 2, decl[i].shape[0] = 2, decl[i].shape[1] = 3;
		if (strstr(key[i], "lora_B") || strstr(key[i], "embedding_B"))
			decl[i].rank = 2, decl[i].shape[1] = 2;
	}
	struct st_writer *w = st_create(path, true, decl, n, &e);
	for (size_t i = 0; i < n; i++)
		st_write(w, zeros, 4 * (size_t)st_elements(&decl[i]));
	assert_int_equal(st_finish(w, &e), 0);
	free(path);
}

static void
tensors_refused(const char *const *key, size_t n, const char *why)
{
	struct err e;
	struct adapter a;
	put_tensors(key, n);
	assert_int_equal(adapter_open(&a, dir, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	if (!strstr(e.msg, why) || !strstr(e.msg, "adapter_model.safetensors"))
		fail_msg("'%s' does not say '%s'", e.msg, why);
}

#define KEY(s) "base_model.model." s
#define REFUSED(why, ...)                                                                                    \
	tensors_refused((const char *const[]){__VA_ARGS__},                                                  \
		sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), why)

static void
test_tensors(void **state)
{
	(void)state;
	struct err e;
	struct adapter a;
	static const char *const all[] = {KEY("b.lora_B.weight"), KEY("a.lora_A.weight"),
		KEY("lm_head.weight"), KEY("b.lora_A.weight"), KEY("a.lora_B.weight"),
		KEY("e.lora_embedding_A"), KEY("e.lora_embedding_B"), KEY("e.base_layer.weight")};
	put_config(LORA "\"r\":2,\"modules_to_save\":[\"lm_head\"]}");
	put_tensors(all, 8);
	if (adapter_open(&a, dir, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(a.n_modules, 3);
	assert_string_equal(a.module[0].name, "a");
	assert_string_equal(a.module[1].B->name, KEY("b.lora_B.weight"));
	assert_int_equal(a.module[1].r, 2);
	assert_true(a.module[1].scale == 4);
	assert_true(a.module[2].embedding && !a.module[1].embedding);
	assert_null(a.module[0].magnitude);
	assert_int_equal(a.n_saved, 2);
	assert_string_equal(a.saved[0].name, "e.weight");
	assert_string_equal(a.saved[1].name, "lm_head.weight");
	char *key = adapter_key("b", "lora_A.weight");
	assert_string_equal(key, a.module[1].A->name);
	free(key);
	adapter_close(&a);
}

static void
test_tensors_refused(void **state)
{
	(void)state;
	put_config(LORA "\"r\":2}");
	tensors_refused(NULL, 0, "holds no tensors");
	REFUSED("does not begin with", "model.a.lora_A.weight");
	REFUSED("lora_B of 'a' is missing", KEY("a.lora_A.weight"));
	REFUSED("lora_A of 'a' is missing", KEY("a.lora_B.weight"));
	REFUSED("not supported", KEY("a.lora_B.bias"));
	REFUSED("not set", KEY("a.lora_A.weight"), KEY("a.lora_B.weight"), KEY("a.lora_magnitude_vector"));
	REFUSED("for the same place", KEY("a.lora_A.weight"), KEY("a.lora_embedding_B"));
	REFUSED("for the same place", KEY("a.lora_A.weight"), KEY("a.lora_B.weight"), KEY("a.lora_embedding_A"));
	REFUSED("for the same place", KEY("a.weight"), KEY("a.base_layer.weight"));
	put_config(LORA "\"r\":3}");
	REFUSED("lora_A [2, 3] and lora_B [4, 2] are not of the configuration's rank 3", KEY("a.lora_A.weight"),
		KEY("a.lora_B.weight"));
	put_config(LORA "\"r\":2,\"use_dora\":true}");
	REFUSED("there is no lora_magnitude_vector", KEY("a.lora_A.weight"), KEY("a.lora_B.weight"));
	put_config(LORA "\"r\":2,\"modules_to_save\":[\"lm_head\"]}");
	REFUSED("'modules_to_save' names 'lm_head'", KEY("a.lora_A.weight"), KEY("a.lora_B.weight"),
		KEY("lm_head2.weight"));
}

static void
test_tensors_missing(void **state)
{
	(void)state;
	struct err e;
	struct adapter a;
	char *path = path_join(dir, "adapter_model.safetensors"),
		       *old = path_join(dir, "adapter_model.bin");
	put_config(LORA "\"r\":2,\"new\":1}");
	assert_int_equal(path_remove(path, &e), 0);
	assert_int_equal(adapter_open(&a, dir, &e), -1);
	assert_int_equal(e.code, ERR_NOINPUT);
	assert_int_equal(file_write(old, true, "", 0, &e), 0);
	assert_int_equal(adapter_open(&a, dir, &e), -1);
	assert_non_null(strstr(e.msg, "convert it to safetensors"));
	free(path);
	free(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_refused),
		cmocka_unit_test(test_config_missing),
		cmocka_unit_test(test_config_defaults_and_unknown),
		cmocka_unit_test(test_config_new),
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_tensors_refused),
		cmocka_unit_test(test_tensors_missing),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
