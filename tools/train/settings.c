/* What the command line leaves open, and what in it contradicts itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "train.h"

/* ---- names ---- */

/* $HONE_MODEL, or "default" where a directory of $HONE_MODEL_PATH has that. */
static const char *
default_model(void)
{
	const char *name = getenv("HONE_MODEL"), *dirs = getenv("HONE_MODEL_PATH");
	if (name && *name)
		return name;
	while (dirs && *dirs) {
		size_t n = strcspn(dirs, ":");
		char *path = xasprintf("%.*s/default", (int)n, dirs);
		bool there = path_is_dir(path);
		free(path);
		if (there)
			return "default";
		dirs += n + (dirs[n] == ':');
	}
	return NULL;
}

/* The last part of a path, without the endings that say what kind of file it is; new. */
static char *
stem(const char *path)
{
	static const char *const endings[] = {".gz", ".zst", ".jsonl", ".json", ".tok"};
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t from = n;
	while (from > 0 && path[from - 1] != '/')
		from--;
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t k = strlen(endings[i]);
		if (n - from > k && strncmp(path + n - k, endings[i], k) == 0)
			n -= k;
	}
	return xstrndup(path + from, n - from);
}

/* TRAIN-MODEL.run or TRAIN-MODEL-SUFFIX.run in the current directory; new. */
static char *
default_run(const struct settings *s)
{
	const char *data = strcmp(s->train.item[0], "-") == 0 ? "stdin" : s->train.item[0];
	char *a = stem(data), *b = stem(s->model);
	char *run = xasprintf("%s-%s%s%s.run", a, b, s->suffix ? "-" : "", s->suffix ? s->suffix : "");
	free(a);
	free(b);
	return run;
}

/* ---- checks ---- */

static int
count_stdin(const struct opt_list *paths)
{
	int n = 0;
	for (size_t i = 0; i < paths->n; i++)
		n += strcmp(paths->item[i], "-") == 0;
	return n;
}

static void
check_names(struct settings *s)
{
	if (!s->model && !(s->model = default_model()))
		die_usage("-m MODEL is missing, and neither HONE_MODEL nor 'default' in HONE_MODEL_PATH says which");
	if (!s->train.n)
		die_usage("-t DATA is missing");
	if (s->suffix && (strchr(s->suffix, '/') || !*s->suffix))
		die_usage("--suffix: '%s' cannot be part of a name", s->suffix);
	if (!s->run)
		s->run = default_run(s);
	if (count_stdin(&s->train) + count_stdin(&s->valid) > 1)
		die_usage("standard input ('-') can be named once only");
	if (s->valid.n && s->validation_split > 0)
		die_usage("--validation-split is for when there is no -v");
}

static void
check_method(const struct settings *s)
{
	bool full = strcmp(s->method, "full") == 0;
	if (full && s->init_adapter)
		die_usage("--method full has no adapter to start from: drop --init-adapter, or merge it first");
	adapter_check(s);
	if (s->from_scratch && !full)
		die_usage("--from-scratch goes with --method full: an adapter on random weights learns nothing");
	if (full && s->load_in_bits)
		die_usage("--load-in-bits goes with --method lora: only frozen weights can be quantised, and full trains all");
	if (full && s->loraplus_lr_ratio != 1)
		die_usage("--loraplus-lr-ratio goes with --method lora");
}

static void
check_optimisation(struct settings *s)
{
	bool constant = schedule_named(s->schedule) == SCHEDULE_CONSTANT;
	if (s->learning_rate > 0 && s->learning_rate_multiplier > 0)
		die_usage("--learning-rate and --learning-rate-multiplier exclude each other");
	if (s->gradient_accumulation_steps > 1 && !s->batch_size)
		die_usage("--gradient-accumulation-steps multiplies --batch-size, which is missing");
	if ((double)s->batch_size * s->gradient_accumulation_steps > 1 << 20)
		die_usage("--batch-size times --gradient-accumulation-steps is more than %d", 1 << 20);
	if (s->min_lr > 0 && s->min_lr_rate > 0)
		die_usage("--min-lr and --min-lr-rate exclude each other");
	if (constant && (s->min_lr > 0 || s->min_lr_rate > 0))
		die_usage("--min-lr and --min-lr-rate are where a falling rate ends; '%s' does not fall", s->schedule);
	if (strcmp(s->schedule, "cosine_with_min_lr") == 0 && s->min_lr == 0 && s->min_lr_rate == 0)
		die_usage("--lr-scheduler-type cosine_with_min_lr needs --min-lr-rate or --min-lr");
	if (s->momentum > 0 && strcmp(s->optimizer, "sgd") != 0)
		die_usage("--momentum is of --optimizer sgd; of AdamW it is --adam-beta1");
	s->batch_size *= s->gradient_accumulation_steps;
	s->gradient_accumulation_steps = 1;
}

static void
check_evaluation(const struct settings *s)
{
	bool evaluates = s->valid.n || s->validation_split > 0;
	if (s->classification && !evaluates)
		die_usage("--compute-classification-metrics needs validation data (-v)");
	if ((s->n_classes || s->positive_class || s->betas || s->labels) && !s->classification)
		die_usage("--classification-* options and --labels go with --compute-classification-metrics");
	if (s->classification && !s->n_classes && !s->positive_class)
		die_usage("--compute-classification-metrics needs --classification-n-classes or --classification-positive-class");
	if (s->betas && !s->positive_class)
		die_usage("--classification-betas needs --classification-positive-class");
	if (strcmp(s->eval_strategy, "steps") == 0 && !s->eval_steps)
		die_usage("--eval-strategy steps needs --eval-steps");
	static const char need[] = "needs validation data (-v or --validation-split) and an --eval-strategy";
	evaluates = evaluates && strcmp(s->eval_strategy, "no") != 0;
	if (s->early_stopping_patience && !evaluates)
		die_usage("--early-stopping-patience %s", need);
	if (s->early_stopping_threshold > 0 && !s->early_stopping_patience)
		die_usage("--early-stopping-threshold goes with --early-stopping-patience");
	if (s->load_best_model_at_end && !evaluates)
		die_usage("--load-best-model-at-end %s", need);
	if (s->metric_for_best_model && !evaluates)
		die_usage("--metric-for-best-model %s", need);
	if (strcmp(s->save_strategy, "best") == 0 && !evaluates)
		die_usage("--save-strategy best %s", need);
}

static void
check_saving(struct settings *s)
{
	if (s->save_steps && !s->save_strategy_given)
		s->save_strategy = "steps";
	bool steps = strcmp(s->save_strategy, "steps") == 0;
	if (steps && !s->save_steps)
		die_usage("--save-strategy steps needs --save-steps");
	if (s->save_steps && !steps)
		die_usage("--save-steps goes with --save-strategy steps, not %s", s->save_strategy);
}

void
settings_check(struct settings *s)
{
	check_names(s);
	check_method(s);
	check_optimisation(s);
	check_evaluation(s);
	check_saving(s);
}

/* ---- defaults that depend on sizes ---- */

/* GPT-3's pre-training rates (Brown et al. 2020, table 2.1), which the multiplier of the legacy service refers to;
 * between two sizes the rate is interpolated on logarithmic scales. */
static double
pretraining_rate(double parameters)
{
	static const struct {
		double size, rate;
	} table[] = {{125e6, 6e-4}, {350e6, 3e-4}, {760e6, 2.5e-4}, {1.3e9, 2e-4}, {2.7e9, 1.6e-4}, {6.7e9, 1.2e-4}, {13e9, 1e-4}};
	enum { N = sizeof table / sizeof *table };
	if (parameters <= table[0].size)
		return table[0].rate;
	for (int i = 1; i < N; i++)
		if (parameters <= table[i].size) {
			double t = log(parameters / table[i - 1].size) / log(table[i].size / table[i - 1].size);
			return table[i - 1].rate * pow(table[i].rate / table[i - 1].rate, t);
		}
	return table[N - 1].rate;
}

static int
default_batch_size(size_t examples)
{
	double n = floor((double)examples * 0.002 + 0.5);
	return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

/* The rate of the legacy service's rule, times ten for an adapter, which wants about ten times the full rate. */
static double
default_rate(const struct settings *s, size_t parameters, bool full)
{
	double multiplier = s->learning_rate_multiplier;
	if (multiplier == 0)
		multiplier = s->batch_size <= 8 ? 0.05 : s->batch_size <= 64 ? 0.1 : 0.2;
	return multiplier * pretraining_rate((double)parameters) * (full ? 1 : 10);
}

static void
complete_schedule(struct run *r)
{
	struct settings *s = r->set;
	bool warms_up = strcmp(s->schedule, "constant") != 0;
	if (!warms_up && s->warmup_steps)
		log_warn("--lr-scheduler-type constant has no warm-up; constant_with_warmup has");
	if (!s->warmup_steps_given || !warms_up)
		s->warmup_steps = warms_up ? (int)ceil((double)r->total_steps * s->warmup_ratio) : 0;
	if (s->min_lr > 0)
		s->min_lr_rate = s->min_lr < s->learning_rate ? s->min_lr / s->learning_rate : 1;
	r->schedule = (struct schedule){schedule_named(s->schedule), s->learning_rate, s->warmup_steps, r->total_steps,
		s->min_lr_rate};
}

void
settings_complete(struct run *r)
{
	struct settings *s = r->set;
	size_t examples = dataset_count(r->train);
	if (s->max_train_samples && (size_t)s->max_train_samples < examples)
		examples = (size_t)s->max_train_samples;
	if (!s->batch_size)
		s->batch_size = default_batch_size(examples);
	if (s->learning_rate == 0)
		s->learning_rate = default_rate(s, model_parameters(&r->model), r->full);
	if (!s->weight_decay_given)
		s->weight_decay = r->full ? 0.01 : 0;
	plan_init(&r->plan, examples, (size_t)s->batch_size, s->shuffle, (uint64_t)s->seed);
	r->steps_per_epoch = plan_steps_per_epoch(&r->plan);
	r->total_steps = r->steps_per_epoch * s->n_epochs;
	if (s->max_steps && s->max_steps < r->total_steps)
		r->total_steps = s->max_steps;
	complete_schedule(r);
}

struct optimizer_options
settings_optimizer(const struct settings *s)
{
	bool sgd = strcmp(s->optimizer, "sgd") == 0, adamw = strcmp(s->optimizer, "adamw") == 0;
	return (struct optimizer_options){.type = sgd ? OPTIMIZER_SGD : adamw ? OPTIMIZER_ADAMW : OPTIMIZER_ADAMW8BIT,
		.beta1 = s->adam_beta1, .beta2 = s->adam_beta2, .eps = s->adam_epsilon, .momentum = s->momentum,
		.weight_decay = s->weight_decay};
}

/* ---- deadline ---- */

/* Seconds from now to the next HH:MM of the local clock. */
static double
until_clock(int hour, int minute)
{
	time_t now = time(NULL);
	struct tm t;
	localtime_r(&now, &t);
	int left = (hour * 60 + minute) * 60 - (t.tm_hour * 3600 + t.tm_min * 60 + t.tm_sec);
	return left > 0 ? left : left + 24 * 3600;
}

double
settings_deadline(const char *text)
{
	int hour, minute, used = 0;
	double n;
	if (!text)
		return 0;
	if (sscanf(text, "%2d:%2d%n", &hour, &minute, &used) == 2 && !text[used] && hour >= 0 && hour < 24 && minute >= 0 &&
		minute < 60)
		return clock_seconds() + until_clock(hour, minute);
	char *end;
	n = strtod(text, &end);
	double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : *end == 's' ? 1 : 0;
	if (end == text || !unit || end[1] || !(n > 0 && n < 1e9))
		die_usage("--deadline: '%s' is neither a time to go (2h, 90m, 45s) nor a time of day (06:00)", text);
	return clock_seconds() + n * unit;
}
