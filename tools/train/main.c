#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/model_path.h"
#include "fmt/manifest.h"
#include "math/gemm.h"
#include "model/lora.h"
#include "train.h"

/* ---- the model and what of it is trained ---- */

static int
open_model(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	const struct model_options opt = {.from_scratch = s->from_scratch, .seed = (uint64_t)s->seed,
		.compute = math_compute(s->dtype), .bits = s->load_in_bits ? atoi(s->load_in_bits) : 0,
		.watch = {progress_told, &r->files}};
	progress_start(&r->files, "loading", "B", 0);
	int rc = model_open(&r->model, r->model_dir, &opt, e);
	if (rc == 0 && r->full)
		model_train_all(&r->model);
	progress_end(&r->files);
	return rc < 0 || r->full ? rc : adapter_attach(r, e);
}

/* ---- what is about to be done ---- */

static void
print_rate(const struct run *r)
{
	const struct settings *s = r->set;
	char floor[48] = "", ratio[48] = "";
	if (s->min_lr_rate > 0)
		snprintf(floor, sizeof floor, " to %g of it", s->min_lr_rate);
	if (s->loraplus_lr_ratio != 1)
		snprintf(ratio, sizeof ratio, ", of B %g times", s->loraplus_lr_ratio);
	log_note("%s, learning rate %g%s (%s%s, %d warm-up steps), weight decay %g", s->optimizer, s->learning_rate, ratio,
		s->schedule, floor, s->warmup_steps, s->weight_decay);
}

static void
print_plan(const struct run *r)
{
	const struct settings *s = r->set;
	const struct model *m = &r->model;
	log_note("model %s: %s, %.2f M parameters, %.2f M trained (%s)", s->model, m->config.family->model_type,
		(double)model_parameters(m) / 1e6, (double)model_trained_parameters(m) / 1e6, s->method);
	if (!r->full)
		log_note("adapter: r %d, alpha %g, dropout %g%s", r->adapter.r, r->adapter.lora_alpha, r->adapter.lora_dropout,
			r->adapter.use_rslora ? ", rslora" : "");
	log_note("data: %zu examples, %llu tokens, %llu targets; %zu to validate", r->plan.examples,
		(unsigned long long)dataset_tokens(r->train), (unsigned long long)dataset_targets(r->train),
		r->valid ? dataset_count(r->valid) : 0);
	log_note("%lld steps of batch size %d, %lld an epoch, %d epochs, seed %d", (long long)r->total_steps, s->batch_size,
		(long long)r->steps_per_epoch, s->n_epochs, s->seed);
	print_rate(r);
	if (r->best_metric)
		log_note("best is the %s %s", r->greater_is_better ? "greatest" : "least", r->best_metric);
	if (s->load_in_bits)
		log_note("the base's linear layers in %s bits", s->load_in_bits);
	log_note("%s on %s, %d threads%s%s", m->compute == NUM_BF16 ? "bfloat16" : "float32", math_backend(), math_threads(),
		s->dry_run ? "" : "; everything goes to ", s->dry_run ? "" : s->run);
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
	int rows = r->rows = step_rows(r), length = (int)dataset_max_length(r->train);
	if (r->valid) {
		rows = larger(rows, eval_rows(r->valid, &r->eval));
		length = larger(length, eval_max_length(r->valid, &r->eval));
	}
	if (model_check_length(&r->model, length, e) < 0)
		return err_prefix(e, "the longest example (--max-length and --overlong see to it): ");
	if (length > r->model.config.max_position)
		log_warn("the longest example has %d tokens, the model was made for %d", length, r->model.config.max_position);
	const char *keep = r->set->keep_packed;
	r->model.keep_packed = strcmp(keep, "always") == 0 || (strcmp(keep, "auto") == 0 && model_should_keep(&r->model));
	model_reserve(&r->model, rows, length, 0, r->set->gradient_checkpointing ? KEEP_INPUTS : KEEP_ALL);
	return 0;
}

static int
open_optimizer(struct run *r, struct err *e)
{
	const struct optimizer_options opt = settings_optimizer(r->set);
	optimizer_init(&r->optimizer, &r->model, &opt);
	outliers_init(&r->outliers, r->set->outlier_window);
	if (r->set->loraplus_lr_ratio != 1 && !optimizer_set_loraplus(&r->optimizer, &r->model, r->set->loraplus_lr_ratio))
		return err_set(e, ERR_USAGE, "--loraplus-lr-ratio: nothing that is trained is a B of an adapter");
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
	/* Its weights and its tokenizer have been opened by now. */
	if (dir_replaced(r->hold, r->model_dir, e) || reserve(r, e) < 0)
		return -1;
	return open_optimizer(r, e);
}

static int
finish(struct run *r, struct err *e)
{
	bool best = r->set->load_best_model_at_end && r->best_step > 0;
	if (rundir_sync(r, e) < 0 || manifest_write(r->set->run, manifest_of_run, NULL, e) < 0)
		return -1;
	if ((best ? export_best_as_final(r, e) : export_publish(r, "final", e)) < 0)
		return -1;
	log_note("done: '%s/final' is %s%s (%.1f s, %.0f MB at most)", r->set->run,
		r->full ? "the trained model" : "the adapter", best ? ", as it was best" : "", clock_seconds() - r->started,
		(double)peak_rss_bytes() / 1e6);
	return 0;
}

/* Takes up what there is of the run, and goes on to its end. */
static int
train(struct run *r, struct err *e)
{
	int resumed = checkpoint_resume(r, e);
	if (resumed < 0)
		return -1;
	if (resumed)
		log_note("resuming after step %lld of %lld", (long long)r->step, (long long)r->total_steps);
	if (space_check(r, e) < 0 || rundir_logs(r, e) < 0 || train_loop(r, e) < 0)
		return -1;
	return finish(r, e);
}

static int
run_dry(struct run *r, struct err *e)
{
	if (prepare(r, e) < 0)
		return -1;
	print_plan(r);
	return dryrun(r, e);
}

static int
run(struct run *r, struct err *e)
{
	if (r->set->dry_run)
		return run_dry(r, e);
	signals_catch_save();
	if (rundir_open(r, e) < 0 || prepare(r, e) < 0 || identity_settle(r, e) < 0)
		return -1;
	if (rundir_finished(r)) {
		log_note("'%s' is finished; nothing to do", r->set->run);
		return 0;
	}
	print_plan(r);
	return train(r, e);
}

static void
release(struct run *r)
{
	rundir_close(r);
	ingest_close(&r->train_data);
	ingest_close(&r->valid_data);
	label_set_release(&r->labels);
	plan_release(&r->plan);
	optimizer_release(&r->optimizer);
	outliers_release(&r->outliers);
	free(r->best_metric);
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
	struct run r = {.set = &settings, .model_dir = dir, .hold = dir_hold(dir), .full = strcmp(settings.method, "full") == 0,
		.best_value = NAN, .started = clock_seconds(), .deadline = settings_deadline(settings.deadline)};
	int rc = run(&r, &e);
	rundir_discard(&r);
	release(&r);
	dir_let_go(r.hold);
	free(dir);
	if (rc < 0)
		die(&e);
	tool_exit(0);
}
