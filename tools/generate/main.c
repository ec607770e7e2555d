/* hone-generate: prompts in, continuations out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/model_path.h"
#include "base/opt.h"
#include "base/progress.h"
#include "math/gemm.h"
#include "model/generate.h"
#include "model/lora.h"
#include "text/record.h"

enum { LINE_MAX_BYTES = 64 << 20, MAX_STOPS = 64 };

static const char *model_name, *adapter, *template_name, *bits, *output = "-";
static bool other_base, chat, json, force, with_ids, ignore_eos, no_special;
static int max_new_tokens = 128, top_k, seed = 42;
static const char *dtype = "auto";
static double temperature, top_p = 1;

static const struct opt options[] = {
	{OPT_STRING, 'm', "model", &model_name, "DIR|NAME", "model: a directory, or a name in the local Hub cache"},
	{OPT_STRING, 'a', "adapter", &adapter, "DIR", "PEFT adapter to put on it, unmerged"},
	{OPT_FLAG, 0, "allow-other-base", &other_base, NULL, "also an adapter that was trained on another base"},
	{OPT_ENUM, 0, "load-in-bits", &bits, "8|4", "quantise the linear layers while loading: int8, or nf4"},
	{OPT_STRING, 'o', "output", &output, "FILE", "where to write"},
	{OPT_FLAG, 'f', "force", &force, NULL, "replace an existing FILE"},
	{OPT_INT, 'n', "max-new-tokens", &max_new_tokens, "N", "longest continuation", 1, 1 << 24},
	{OPT_DOUBLE, 0, "temperature", &temperature, "X", "of sampling (0: the most probable token)", 0, 100},
	{OPT_INT, 0, "top-k", &top_k, "N", "sample among the N most probable tokens (0: all)", 0, 1 << 24},
	{OPT_DOUBLE, 0, "top-p", &top_p, "X", "sample among the most probable tokens that have X of the probability", 1e-6, 1},
	{OPT_INT, 0, "seed", &seed, "N", "of sampling", 0, 2147483647},
	{OPT_FLAG, 0, "chat", &chat, NULL, "PROMPT is a user's message: use the chat template"},
	{OPT_STRING, 0, "template", &template_name, "NAME|FILE", "chat template (default: the model's own)"},
	{OPT_FLAG, 0, "json", &json, NULL, "JSON lines out, also for a PROMPT"},
	{OPT_FLAG, 0, "ids", &with_ids, NULL, "put token ids into the JSON lines"},
	{OPT_FLAG, 0, "ignore-eos", &ignore_eos, NULL, "go on after an end-of-text token"},
	{OPT_ENUM, 0, "dtype", &dtype, "auto|float32|bfloat16", "of the computation"},
	{OPT_FLAG, 0, "no-special", &no_special, NULL, "no BOS before the prompt"},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-generate",
	.operands = "[PROMPT]",
	.summary = "Continue a prompt, or each record of JSON lines on standard input: {\"prompt\"}, {\"messages\"}, {\"text\"}\n"
		   "or {\"input_ids\"}. A PROMPT gives text, records give JSON lines with \"completion\" and \"finish_reason\".",
	.opts = options,
	.max_operands = 1,
	.backend = math_backend,
};

struct job {
	const char *dir;     /* of the model */
	struct model model;
	struct tokenizer *tokenizer;
	struct template template;
	struct record_options record;
	struct record_maker *maker;
	struct generator generator;
	struct sampler sampler;
	int32_t stop[MAX_STOPS];
	int n_stops;
	struct ids ids;      /* prompt and continuation */
	size_t n_prompt;
	const char *finish;  /* "stop" or "length" */
	struct out out;
	struct progress loading;
};

/* ---- setting up ---- */

static void
add_stop(struct job *j, int64_t id)
{
	if (id >= 0 && id < j->model.config.V && j->n_stops < MAX_STOPS)
		j->stop[j->n_stops++] = (int32_t)id;
}

static void
add_stops_of(struct job *j, const json_t *o)
{
	const json_t *v = json_object_get(o, "eos_token_id");
	if (json_is_integer(v))
		add_stop(j, json_integer_value(v));
	for (size_t i = 0; i < json_array_size(v); i++)
		add_stop(j, json_integer_value(json_array_get(v, i)));
}

enum { GENERATION_CONFIG_MAX = 1 << 20 };

/* Ends of text: of config.json, of generation_config.json, and the tokenizer's. */
static int
find_stops(struct job *j, const char *dir, struct err *e)
{
	char *path = path_join(dir, "generation_config.json");
	json_t *o;
	int rc = json_read_optional(path, GENERATION_CONFIG_MAX, &o, e);
	add_stops_of(j, j->model.config.root);
	add_stops_of(j, o);
	add_stop(j, tokenizer_eos(j->tokenizer));
	json_decref(o);
	free(path);
	return rc;
}

static int
open_adapter(struct job *j, struct err *e)
{
	struct adapter_config c;
	if (lora_open(&j->model, adapter, other_base ? LORA_OTHER_BASE : 0, &c, e) < 0)
		return -1;
	log_unknown_keys(adapter, c.unknown);
	adapter_config_release(&c);
	return 0;
}

static int
open_parts(struct job *j, const char *dir, struct err *e)
{
	const struct model_options opt = {.compute = math_compute(dtype), .bits = bits ? atoi(bits) : 0,
		.watch = {progress_told, &j->loading}};
	progress_start(&j->loading, "loading", "B", 0);
	int rc = model_open(&j->model, dir, &opt, e);
	progress_end(&j->loading);
	if (rc < 0 || (adapter && open_adapter(j, e) < 0))
		return -1;
	j->tokenizer = tokenizer_open(dir, e);
	if (!j->tokenizer || template_open(&j->template, dir, template_name, e) < 0)
		return -1;
	if (tokenizer_ignored(j->tokenizer))
		log_note("%s of tokenizer.json: ignored", tokenizer_ignored(j->tokenizer));
	j->record = (struct record_options){.tokenizer = j->tokenizer, .template = &j->template, .no_eos = true,
		.no_special = no_special, .allow_empty = true};
	j->maker = record_maker_new(&j->record, e);
	if (!j->maker)
		return -1;
	if (!ignore_eos && find_stops(j, dir, e) < 0)
		return -1;
	sampler_init(&j->sampler, temperature, top_k, top_p, (uint64_t)seed);
	return 0;
}

static void
close_all(void *ctx)
{
	struct job *j = ctx;
	sampler_release(&j->sampler);
	record_maker_free(j->maker);
	template_close(&j->template);
	tokenizer_free(j->tokenizer);
	ids_release(&j->ids);
	generator_release(&j->generator);
	model_release(&j->model);
}

static int
open_all(void *ctx, struct err *e)
{
	struct job *j = ctx;
	const char *dir = j->dir;
	*j = (struct job){.dir = dir};
	int rc = open_parts(j, dir, e);
	if (rc < 0)
		close_all(j);
	return rc;
}

/* ---- one continuation ---- */

static bool
is_stop(const struct job *j, int32_t id)
{
	for (int i = 0; i < j->n_stops; i++)
		if (j->stop[i] == id)
			return true;
	return false;
}

/* The prompt's ids are in j->ids; appends the continuation. */
static int
run(struct job *j, struct err *e)
{
	j->n_prompt = j->ids.n;
	if (j->n_prompt == 0)
		return err_set(e, ERR_DATA, "the prompt has no tokens, and the tokenizer adds none");
	for (size_t i = 0; i < j->n_prompt; i++)
		if (j->ids.v[i] < 0 || j->ids.v[i] >= j->model.config.V)
			return err_set(e, ERR_DATA, "the prompt has token %d, the model's vocabulary ends at %d", (int)j->ids.v[i],
				j->model.config.V - 1);
	if (j->n_prompt > (size_t)(INT32_MAX - max_new_tokens))
		return err_set(e, ERR_DATA, "the prompt has %zu tokens, which is too many", j->n_prompt);
	if (model_check_length(&j->model, (int)j->n_prompt, e) < 0)
		return err_prefix(e, "the prompt: ");
	int need = (int)j->n_prompt + max_new_tokens;
	if (need > j->generator.capacity)
		generator_init(&j->generator, &j->model, need + need / 2);
	generator_reset(&j->generator);
	j->finish = "length";
	int32_t next = generator_next(&j->generator, j->ids.v, (int)j->n_prompt, &j->sampler);
	for (int i = 0; i < max_new_tokens; i++) {
		if (next < 0)
			return err_set(e, ERR_DATA, "the logits are not numbers: the model's weights are damaged");
		if (is_stop(j, next)) {
			j->finish = "stop";
			break;
		}
		ids_push(&j->ids, next);
		if (j->model.positions && j->ids.n > (size_t)j->model.config.max_position)
			break;
		if (i + 1 < max_new_tokens)
			next = generator_next(&j->generator, &next, 1, &j->sampler);
	}
	return 0;
}

/* ---- output ---- */

static json_t *
id_list(const int32_t *ids, size_t n)
{
	json_t *a = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_integer(ids[i]));
	return a;
}

static int
write_result(struct job *j, uint64_t line, bool as_json, struct err *e)
{
	const int32_t *new_ids = j->ids.v + j->n_prompt;
	size_t n = j->ids.n - j->n_prompt;
	struct buf text = {0};
	tokenizer_decode(j->tokenizer, new_ids, n, true, &text);
	if (!as_json) {
		buf_putc(&text, '\n');
		out_write(&j->out, text.data, text.len);
		buf_release(&text);
		return out_flush(&j->out, e);
	}
	json_t *o = json_pack("{s:I, s:o, s:I, s:s}", "line", (json_int_t)line, "completion",
		json_stringn(text.data ? text.data : "", text.len), "tokens", (json_int_t)n, "finish_reason", j->finish);
	if (with_ids) {
		json_object_set_new(o, "prompt_ids", id_list(j->ids.v, j->n_prompt));
		json_object_set_new(o, "ids", id_list(new_ids, n));
	}
	char *s = json_dumps(o, JSON_COMPACT);
	out_puts(&j->out, s);
	out_write(&j->out, "\n", 1);
	free(s);
	json_decref(o);
	buf_release(&text);
	return out_flush(&j->out, e);
}

/* ---- input ---- */

static int
take_ids(struct job *j, const int32_t *ids, size_t n)
{
	j->ids.n = 0;
	for (size_t i = 0; i < n; i++)
		ids_push(&j->ids, ids[i]);
	return 0;
}

/* {"input_ids": [...]}: 1 when the line is one, 0 when it is another kind of record. */
static int
read_input_ids(struct job *j, const char *line, size_t n, struct err *e)
{
	json_t *o = json_loadb(line, n, 0, NULL), *v = json_object_get(o, "input_ids"), *id;
	size_t i;
	int rc = json_is_array(v);
	j->ids.n = 0;
	json_array_foreach(v, i, id) {
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX) {
			rc = err_set(e, ERR_DATA, "\"input_ids\" has something that is not a token id");
			break;
		}
		ids_push(&j->ids, (int32_t)json_integer_value(id));
	}
	json_decref(o);
	return rc;
}

/* Whether a line is no JSON, but what a person would write to a prompt. */
static bool
is_text(const char *line, size_t n)
{
	size_t i = 0;
	while (i < n && (line[i] == ' ' || line[i] == '\t'))
		i++;
	return i < n && line[i] != '{' && line[i] != '[' && line[i] != '"' && (unsigned char)line[i] != 0xef;
}

static int
read_prompt(struct job *j, const char *line, size_t n, uint64_t lineno, struct err *e)
{
	const int32_t *ids;
	size_t n_ids;
	int rc = read_input_ids(j, line, n, e);
	if (rc != 0)
		return rc < 0 ? err_prefix(e, "line %llu: ", (unsigned long long)lineno) : 0;
	if (is_text(line, n))
		return err_set(e, ERR_DATA, "line %llu: not a JSON object: {\"prompt\": \"...\"} and the like are read here; a text by "
			"itself is given as PROMPT", (unsigned long long)lineno);
	if (record_prompt(j->maker, line, n, lineno, &ids, &n_ids, e) < 0)
		return -1;
	return take_ids(j, ids, n_ids);
}

static bool
is_blank(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

static int
continue_operand(struct job *j, const char *prompt, struct err *e)
{
	json_t *o = chat ? json_pack("{s:[{s:s, s:s}]}", "messages", "role", "user", "content", prompt)
			 : json_pack("{s:s}", "prompt", prompt);
	char *line = o ? json_dumps(o, 0) : NULL;
	if (!line)
		return err_set(e, ERR_USAGE, "the prompt is not UTF-8");
	int rc = read_prompt(j, line, strlen(line), 1, e);
	free(line);
	json_decref(o);
	if (rc < 0 || run(j, e) < 0)
		return -1;
	return write_result(j, 1, json, e);
}

static int
continue_records(struct job *j, struct err *e)
{
	struct in in;
	const char *line;
	size_t n;
	uint64_t lineno = 0;
	int got = 0;
	struct progress p;
	const char *const in_name = "-";
	if (in_open_unpacked(&in, in_name, e) < 0)
		return -1;
	const uint64_t size = in_size(&in_name, 1);
	progress_start(&p, "generating", "records", 0);
	while ((got = in_line(&in, LINE_MAX_BYTES, &line, &n, e)) > 0) {
		lineno++;
		if (is_blank(line, n))
			continue;
		got = read_prompt(j, line, n, lineno, e);
		if (got == 0 && run(j, e) < 0)
			got = err_prefix(e, "line %llu: ", (unsigned long long)lineno);
		if (got == 0)
			got = write_result(j, lineno, true, e);
		if (got < 0)
			break;
		/* What was taken, not what was read ahead: a record takes long. */
		progress_share(&p, lineno, size && !in.unpack ? (double)in.taken / (double)size : 0);
	}
	progress_end(&p);
	in_close(&in);
	return got;
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	struct err e;
	struct job j = {0};
	math_start(argv);
	opt_parse(&spec, argc, argv, &operands);
	math_set_threads(opt_threads);
	if (!model_name)
		die_usage("-m MODEL is missing");
	char *dir = model_path(model_name, &e);
	j.dir = dir;
	/* Weights and tokenizer are to be of one model, also where it is being replaced. */
	if (!dir || dir_read(dir, open_all, close_all, &j, &e) < 0 || out_open(&j.out, output, force, &e) < 0)
		die(&e);
	int rc = operands.n ? continue_operand(&j, operands.item[0], &e) : continue_records(&j, &e);
	if (rc < 0) {
		out_abort(&j.out);
		die(&e);
	}
	if (out_commit(&j.out, &e) < 0)
		die(&e);
	close_all(&j);
	free(dir);
	tool_exit(0);
}
