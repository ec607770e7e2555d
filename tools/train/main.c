#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/model_path.h"
#include "math/gemm.h"
#include "model/lora.h"
#include "train.h"

/* ---- the model and what of it is trained ---- */

/* A list of names out of "q_proj,v_proj"; a new reference. */
static json_t *
name_list(const char *text)
{
	json_t *list = json_array();
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, ", ");
		if (n)
			json_array_append_new(list, json_stringn(p, n));
		p += n + (p[n] != '\0');
	}
	return list;
}

static int
new_adapter(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	bool all = strcmp(s->target_modules, "all-linear") == 0;
	json_t *targets = all ? lora_all_linear(&r->model) : name_list(s->target_modules), *saved = s->modules_to_save ? name_list(s->modules_to_save) : NULL;
	const struct adapter_config want = {.r = s->lora_r, .lora_alpha = s->lora_alpha, .lora_dropout = s->lora_dropout,
		.use_rslora = s->use_rslora, .fan_in_fan_out = r->model.config.family->conv1d, .base_model = s->model, .target_modules = targets, .modules_to_save = saved};
	adapter_config_new(&r->adapter, &want);
	json_decref(targets);
	json_decref(saved);
	return lora_attach(&r->model, &r->adapter, (uint64_t)s->seed, true, e);
}

static int
open_model(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	const struct model_options opt = {.from_scratch = s->from_scratch, .seed = (uint64_t)s->seed,
		.compute = math_compute(s->dtype), .bits = s->load_in_bits ? atoi(s->load_in_bits) : 0};
	if (model_open(&r->model, r->model_dir, &opt, e) < 0)
		return -1;
	if (r->full) {
		model_train_all(&r->model);
		return 0;
	}
	if (!s->init_adapter)
		return new_adapter(r, e);
	char *unknown = NULL;
	int rc = lora_open(&r->model, s->init_adapter, true, &r->adapter, &unknown, e);
	if (unknown)
		log_warn("'%s': adapter_config.json has keys that are not known here: %s", s->init_adapter, unknown);
	free(unknown);
	return rc;
}

/* ---- what the run will take ---- */

static double
mega(double bytes)
{
	return bytes / 1e6;
}

/* Multiply-adds count two; a weight is used once forward, once for the gradient of its input, and, when it is
 * trained, once for its own. The head sees targets only. Tables are looked up, not multiplied. */
static double
flops_per_step(const struct run *r)
{
	const struct model *m = &r->model;
	double examples = (double)dataset_count(r->train), batch = r->set->batch_size;
	double tokens = (double)dataset_tokens(r->train) / examples * batch, used = 0;
	double targets = (double)dataset_targets(r->train) / examples * batch;
	for (size_t i = 0; model_linear(m, i); i++) {
		const struct linear *l = model_linear(m, i);
		used += (double)l->in * l->out * (l == &m->head ? targets : tokens);
	}
	return (r->full ? 6 : 4) * used + (r->full ? 0 : 6.0 * (double)model_trained_parameters(m) * tokens);
}

static void
print_plan(const struct run *r)
{
	const struct settings *s = r->set;
	const struct model *m = &r->model;
	log_note("model %s: %s, %.2f M parameters, %.2f M trained (%s)", s->model, m->config.family->model_type,
		(double)model_parameters(m) / 1e6, (double)model_trained_parameters(m) / 1e6, s->method);
	log_note("data: %zu examples, %llu tokens, %llu targets%s", r->plan.examples,
		(unsigned long long)dataset_tokens(r->train), (unsigned long long)dataset_targets(r->train),
		r->valid ? "; validated every epoch" : "");
	log_note("%d epochs of %lld steps, batch size %d, learning rate %g (%s, %d warm-up steps), weight decay %g, seed %d",
		s->n_epochs, (long long)r->steps_per_epoch, s->batch_size, s->learning_rate, s->schedule, s->warmup_steps,
		s->weight_decay, s->seed);
	if (!r->full)
		log_note("adapter: r %d, alpha %g, dropout %g%s", r->adapter.r, r->adapter.lora_alpha, r->adapter.lora_dropout,
			r->adapter.use_rslora ? ", rslora" : "");
	log_note("%s on %s, %d threads%s%s%s", m->compute == NUM_BF16 ? "bfloat16" : "float32", math_backend(), math_threads(),
		s->load_in_bits ? "; base in " : "", s->load_in_bits ? s->load_in_bits : "", s->load_in_bits ? " bits" : "");
}

static void
print_dry_run(const struct run *r)
{
	const struct model *m = &r->model;
	double trained = 4.0 * (double)model_trained_parameters(m);
	double weights = (double)(m->value_memory.size + m->trained_memory.size);
	double work = (double)model_work_bytes(m), mapped = (double)model_mapped_bytes(m);
	printf("parameters          %zu\n", model_parameters(m));
	printf("trained             %zu\n", model_trained_parameters(m));
	printf("steps               %lld (%lld an epoch)\n", (long long)r->total_steps, (long long)r->steps_per_epoch);
	printf("tokens a micro-batch at most %d\n", m->work.T);
	printf("memory: weights     %.1f MB\n", mega(weights));
	printf("memory: mapped      %.1f MB\n", mega(mapped));
	printf("memory: gradients   %.1f MB\n", mega(trained));
	printf("memory: optimiser   %.1f MB\n", mega(2 * trained));
	printf("memory: activations %.1f MB\n", mega(work));
	printf("memory: total       %.1f MB\n", mega(weights + mapped + 3 * trained + work));
	printf("FLOPs a step        %.3g\n", flops_per_step(r));
	printf("FLOPs in all        %.3g\n", flops_per_step(r) * (double)r->total_steps);
}

/* ---- running ---- */

static int
larger(int a, int b)
{
	return a > b ? a : b;
}

static int
reserve(struct run *r, struct err *e)
{
	int rows = train_rows(r), length = (int)dataset_max_length(r->train);
	if (r->valid) {
		rows = larger(rows, eval_rows(r->valid, &r->eval));
		length = larger(length, eval_max_length(r->valid, &r->eval));
	}
	if (model_check_length(&r->model, length, e) < 0)
		return err_prefix(e, "the longest example (--max-length and --overlong see to it): ");
	if (length > r->model.config.max_position)
		log_warn("the longest example has %d tokens, the model was made for %d", length, r->model.config.max_position);
	model_reserve(&r->model, rows, length, 0, r->set->gradient_checkpointing ? KEEP_INPUTS : KEEP_ALL);
	return 0;
}

/* All that comes before the first step, in the order in which mistakes are cheapest to tell. */
static int
prepare(struct run *r, struct err *e)
{
	if (open_model(r, e) < 0 || data_open(r, e) < 0)
		return -1;
	settings_complete(r);
	if (validate_prepare(r, e) < 0)
		return -1;
	return reserve(r, e);
}

static int
finish(struct run *r, struct err *e)
{
	if (checkpoint_publish(r, "final", e) < 0)
		return -1;
	log_note("done: '%s/final' is %s (%.1f s, %.0f MB at most)", r->set->run,
		r->full ? "the trained model" : "the adapter", clock_seconds() - r->started, mega((double)peak_rss_bytes()));
	return 0;
}

static int
run(struct run *r, struct err *e)
{
	bool dry = r->set->dry_run;
	if (!dry)
		train_catch_save();
	if (!dry && rundir_open(r, e) < 0)
		return -1;
	if (prepare(r, e) < 0)
		return -1;
	if (!dry && rundir_identify(r, e) < 0)
		return -1;
	if (!dry && rundir_finished(r)) {
		log_note("'%s' is finished; nothing to do", r->set->run);
		return 0;
	}
	print_plan(r);
	if (dry) {
		print_dry_run(r);
		return 0;
	}
	adamw_init(&r->optimizer, &r->model, r->set->weight_decay);
	int resumed = checkpoint_resume(r, e);
	if (resumed < 0)
		return -1;
	if (resumed)
		log_note("resuming after step %lld of %lld", (long long)r->step, (long long)r->total_steps);
	if (rundir_logs(r, e) < 0 || train_loop(r, e) < 0)
		return -1;
	return finish(r, e);
}

static void
release(struct run *r)
{
	rundir_close(r);
	ingest_close(&r->train_data);
	ingest_close(&r->valid_data);
	label_set_release(&r->labels);
	plan_release(&r->plan);
	adamw_release(&r->optimizer);
	adapter_config_release(&r->adapter);
	model_release(&r->model);
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	struct err e;
	math_start(argv);
	opt_parse(&train_spec, argc, argv, &operands);
	settings_check(&settings);
	math_set_threads(opt_threads);
	char *dir = model_path(settings.model, &e);
	if (!dir)
		die(&e);
	struct run r = {.set = &settings, .model_dir = dir, .full = strcmp(settings.method, "full") == 0,
		.best_value = NAN, .started = clock_seconds(), .deadline = settings_deadline(settings.deadline)};
	int rc = run(&r, &e);
	rundir_discard(&r);
	release(&r);
	free(dir);
	if (rc < 0)
		die(&e);
	tool_exit(0);
}
