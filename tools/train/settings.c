#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "math/gemm.h"
#include "train.h"

struct settings settings = {
	.method = "lora",
	.n_epochs = 4,
	.schedule = "cosine",
	.warmup_ratio = 0.03,
	.max_grad_norm = 1.0,
	.lora_r = 16,
	.lora_alpha = 32,
	.target_modules = "all-linear",
	.dtype = "auto",
	.micro_tokens = 2048,
	.label_score = "full",
	.save_total_limit = 2,
	.logging_steps = 1,
	.seed = 42,
	.shuffle = true,
	.train_on = "assistant",
	.overlong = "error",
};

#define S(field) &settings.field

static const struct opt options[] = {
	{OPT_SECTION, .help = "What to train, on what, and where to:"},
	{OPT_STRING, 'm', "model", S(model), "DIR|NAME", "base model: a directory, or a name in the local Hub cache"},
	{OPT_STRING, 't', "train", S(train), "DATASET", "training data: a dataset of hone-pack, or a JSONL file"},
	{OPT_STRING, 'v', "validation", S(valid), "DATASET", "validation data, evaluated at the end of every epoch"},
	{OPT_STRING, 'o', "output", S(run), "RUN", "run directory; an unfinished run there is taken up again"},
	{OPT_ENUM, 0, "method", S(method), "lora|full", "train an adapter, or all weights"},
	{OPT_STRING, 0, "init-adapter", S(init_adapter), "DIR", "start from this PEFT adapter; its configuration counts"},
	{OPT_FLAG, 0, "from-scratch", S(from_scratch), NULL, "random weights from the model's config.json"},

	{OPT_SECTION, .help = "Optimisation (0: by the size of the model or of the data):"},
	{OPT_INT, 0, "n-epochs", S(n_epochs), "N", "passes over the training data", 1, 100000},
	{OPT_INT, 0, "max-steps", S(max_steps), "N", "stop after so many steps (0: no limit)", 0, 2000000000},
	{OPT_INT, 0, "batch-size", S(batch_size), "N", "examples a step (0: 0.2 % of the examples, at most 256)", 0, 1 << 24},
	{OPT_DOUBLE, 0, "learning-rate", S(learning_rate), "X", "peak rate (0: multiplier times the pre-training rate)", 0, 100},
	{OPT_DOUBLE, 0, "learning-rate-multiplier", S(learning_rate_multiplier), "X",
		"of the pre-training rate for the model's size (0: 0.05, 0.1 or 0.2 by batch size)", 0, 1000},
	{OPT_ENUM, 0, "lr-scheduler-type", S(schedule), "linear|cosine|constant", "how the rate falls after warm-up"},
	{OPT_INT, 0, "warmup-steps", S(warmup_steps), "N", "steps of linear warm-up; goes before --warmup-ratio", 0, 2000000000,
		&settings.warmup_steps_given},
	{OPT_DOUBLE, 0, "warmup-ratio", S(warmup_ratio), "X", "share of all steps that is warm-up", 0, 1},
	{OPT_DOUBLE, 0, "weight-decay", S(weight_decay), "X", "AdamW's, on matrices (default 0 for lora, 0.01 for full)", 0, 100,
		&settings.weight_decay_given},
	{OPT_DOUBLE, 0, "max-grad-norm", S(max_grad_norm), "X", "clip the global gradient norm (0: do not)", 0, 1e30},
	{OPT_FLAG, 0, "shuffle", S(shuffle), NULL, "shuffle the examples in every epoch"},
	{OPT_INT, 0, "seed", S(seed), "N", "of shuffling, initialisation and dropout", 0, 2147483647},

	{OPT_SECTION, .help = "Adapter:"},
	{OPT_INT, 0, "lora-r", S(lora_r), "N", "rank", 1, 65536},
	{OPT_DOUBLE, 0, "lora-alpha", S(lora_alpha), "X", "the update is scaled by alpha/r", 1e-9, 1e9},
	{OPT_DOUBLE, 0, "lora-dropout", S(lora_dropout), "X", "probability of dropping an input of the adapter", 0, 0.99},
	{OPT_STRING, 0, "target-modules", S(target_modules), "NAMES", "names or suffixes, comma-separated, or all-linear"},
	{OPT_STRING, 0, "modules-to-save", S(modules_to_save), "NAMES", "modules trained whole and kept with the adapter"},
	{OPT_FLAG, 0, "use-rslora", S(use_rslora), NULL, "scale by alpha/sqrt(r)"},
	{OPT_ENUM, 0, "load-in-bits", S(load_in_bits), "8|4", "quantise the base's linear layers while loading: int8, or nf4"},

	{OPT_SECTION, .help = "Speed and memory (none of these changes the mathematics):"},
	{OPT_ENUM, 0, "dtype", S(dtype), "auto|float32|bfloat16", "of the computation; float32 also saves full weights so",
		.given = &settings.dtype_given},
	{OPT_INT, 0, "micro-tokens", S(micro_tokens), "N", "tokens of a micro-batch (0: a whole step at once)", 0, 1 << 24},
	{OPT_FLAG, 0, "gradient-checkpointing", S(gradient_checkpointing), NULL, "keep less, compute activations twice"},

	{OPT_SECTION, .help = "Evaluation:"},
	{OPT_FLAG, 0, "compute-classification-metrics", S(classification), NULL, "accuracy, F1 and more on the validation data"},
	{OPT_INT, 0, "classification-n-classes", S(n_classes), "N", "how many classes there must be", 0, 1000000},
	{OPT_STRING, 0, "classification-positive-class", S(positive_class), "LABEL", "for precision, recall, F-beta, AUROC"},
	{OPT_STRING, 0, "classification-betas", S(betas), "X,...", "betas of F-beta"},
	{OPT_ENUM, 0, "label-score", S(label_score), "full|first-token", "score a label by all its tokens, or its first"},
	{OPT_INT, 0, "eval-steps", S(eval_steps), "N", "also evaluate every N steps (0: at the end of epochs only)", 0, 2000000000},
	{OPT_INT, 0, "max-eval-samples", S(max_eval_samples), "N", "evaluate on the first N examples (0: all)", 0, 2000000000},

	{OPT_SECTION, .help = "Running:"},
	{OPT_INT, 0, "logging-steps", S(logging_steps), "N", "log every N steps", 1, 2000000000},
	{OPT_INT, 0, "save-steps", S(save_steps), "N", "checkpoint every N steps (0: at the end of epochs)", 0, 2000000000},
	{OPT_INT, 0, "save-total-limit", S(save_total_limit), "N", "checkpoints to keep", 1, 1000000},
	{OPT_INT, 0, "max-train-samples", S(max_train_samples), "N", "train on the first N examples (0: all)", 0, 2000000000},
	{OPT_STRING, 0, "deadline", S(deadline), "TIME", "checkpoint and stop with status 75: 2h, 90m, or 06:00"},
	{OPT_FLAG, 0, "dry-run", S(dry_run), NULL, "print sizes, steps, memory and FLOPs; train nothing"},

	{OPT_SECTION, .help = "When -t or -v is a JSONL file (see hone-tokenize):"},
	{OPT_STRING, 0, "template", S(template), "NAME|FILE", "chat template (default: the model's own)"},
	{OPT_ENUM, 0, "train-on", S(train_on), "completion|assistant|all", "which tokens are targets"},
	{OPT_DOUBLE, 0, "prompt-loss-weight", S(prompt_loss_weight), "X", "weight of the prompt's tokens in the loss", 0, 1},
	{OPT_INT, 0, "max-length", S(max_length), "N", "longest example in tokens (0: no limit)", 0, 1 << 24},
	{OPT_ENUM, 0, "overlong", S(overlong), "error|drop|truncate|split", "what to do with longer ones"},
	{0},
};

const struct opt_spec train_spec = {
	.tool = "hone-train",
	.operands = "",
	.summary = "Fine-tune a Hugging Face checkpoint: an adapter (LoRA) or all weights.",
	.opts = options,
	.epilog = "Example:\n"
		  "  hone-train -m SmolLM2-135M -t data/train -v data/valid -o run --compute-classification-metrics\n",
	.max_operands = 0,
	.backend = math_backend,
};

/* ---- checks ---- */

void
settings_check(struct settings *s)
{
	if (!s->model)
		die_usage("-m MODEL is missing");
	if (!s->train)
		die_usage("-t DATASET is missing");
	if (!s->run && !s->dry_run)
		die_usage("-o RUN is missing");
	bool full = strcmp(s->method, "full") == 0;
	if (full && s->init_adapter)
		die_usage("--method full has no adapter to start from: drop --init-adapter, or merge it first");
	if (s->from_scratch && !full)
		die_usage("--from-scratch goes with --method full: an adapter on random weights learns nothing");
	if (s->load_in_bits && full)
		die_usage("--load-in-bits goes with --method lora: only frozen weights can be quantised, and full trains all");
	if (s->classification && !s->valid)
		die_usage("--compute-classification-metrics needs validation data (-v)");
	if ((s->n_classes || s->positive_class || s->betas) && !s->classification)
		die_usage("--classification-* options go with --compute-classification-metrics");
	if (s->classification && !s->n_classes && !s->positive_class)
		die_usage("--compute-classification-metrics needs --classification-n-classes or --classification-positive-class");
	if (s->betas && !s->positive_class)
		die_usage("--classification-betas needs --classification-positive-class");
	if (s->learning_rate > 0 && s->learning_rate_multiplier > 0)
		die_usage("--learning-rate and --learning-rate-multiplier exclude each other");
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

static enum schedule_type
schedule_type(const char *name)
{
	return strcmp(name, "linear") == 0 ? SCHEDULE_LINEAR : strcmp(name, "cosine") == 0 ? SCHEDULE_COSINE : SCHEDULE_CONSTANT;
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
	if (!s->warmup_steps_given)
		s->warmup_steps = (int)ceil((double)r->total_steps * s->warmup_ratio);
	r->schedule = (struct schedule){schedule_type(s->schedule), s->learning_rate, s->warmup_steps, r->total_steps};
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
