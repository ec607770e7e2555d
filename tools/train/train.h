/* hone-train: what its files share. main.c parses; settings.c works out what was left to defaults; data.c opens the
 * datasets; rundir.c keeps the run directory; checkpoint.c saves and resumes; loop.c trains; validate.c evaluates. */
#ifndef HONE_TOOLS_TRAIN_H
#define HONE_TOOLS_TRAIN_H

#include <jansson.h>

#include "base/opt.h"
#include "eval/evaluate.h"
#include "eval/metrics.h"
#include "eval/results_csv.h"
#include "fmt/adapter.h"
#include "fmt/dataset.h"
#include "model/batch.h"
#include "model/model.h"
#include "model/optimizer.h"
#include "model/plan.h"
#include "text/ingest.h"

/* The command line. Where 0 or NULL means "by default", settings.c puts the effective value in its place. */
struct settings {
	const char *model, *train, *valid, *run;
	const char *method, *init_adapter;
	bool from_scratch;

	int n_epochs, batch_size, max_steps;
	double learning_rate, learning_rate_multiplier;
	const char *schedule;
	int warmup_steps;
	double warmup_ratio, weight_decay, max_grad_norm;
	bool weight_decay_given, warmup_steps_given, dtype_given;

	int lora_r;
	double lora_alpha, lora_dropout;
	const char *target_modules, *modules_to_save;
	bool use_rslora;

	const char *dtype, *load_in_bits;
	bool gradient_checkpointing;
	int micro_tokens;

	bool classification;
	int n_classes;
	const char *positive_class, *betas, *label_score;

	int eval_steps, save_steps, save_total_limit, logging_steps, max_train_samples, max_eval_samples;
	int seed;
	bool shuffle, dry_run;
	const char *deadline;

	const char *template, *train_on, *overlong;
	double prompt_loss_weight;
	int max_length;
};

/* A run under way. */
struct run {
	struct settings *set;
	const char *model_dir;

	struct model model;
	struct adapter_config adapter;   /* with --method lora */
	bool full;
	struct ingested train_data, valid_data;
	struct dataset *train, *valid;   /* theirs; valid may be NULL */
	struct plan plan;
	struct adamw optimizer;
	struct schedule schedule;
	int64_t steps_per_epoch, total_steps;

	struct label_set labels;         /* K = 0 without classification */
	struct metrics_betas betas;
	int positive;                    /* class, or -1 */
	struct eval_options eval;

	/* Progress; all of it is in a checkpoint. */
	int64_t step;                    /* optimiser steps done */
	int64_t elapsed_tokens, elapsed_examples;
	double best_value;               /* of the figure that best/ is chosen by; NAN: none yet */

	/* The run directory. */
	int lock_fd, metrics_fd;
	bool fresh;                      /* we made it, and nothing in it is worth keeping yet */
	struct results_csv results;
	double started, deadline;        /* on clock_seconds(); deadline 0: none */
};

/* ---- settings.c ---- */

extern const struct opt_spec train_spec;
extern struct settings settings;  /* what the option table fills */

/* Contradictions that need no file; ends the process with a usage error. */
void settings_check(struct settings *s);

/* Values that depend on the model's and the data's size; prints them. */
void settings_complete(struct run *r);

/* Seconds on clock_seconds() of "2h", "90m", "45s" or the next "06:00"; ends the process when it is neither. */
double settings_deadline(const char *text);

/* ---- data.c ---- */

/* Opens -t and -v, tokenising JSONL files into RUN on the way, and holds them against the model. */
int data_open(struct run *r, struct err *e);

/* ---- rundir.c ---- */

/* Makes the directory, or takes up an existing one of the same settings, and locks it. */
int rundir_open(struct run *r, struct err *e);

/* Whether the run there is finished. */
bool rundir_finished(const struct run *r);

/* Holds run.json against this run's settings and data, or writes it when the run is new. */
int rundir_identify(struct run *r, struct err *e);

/* Opens metrics.jsonl and results.csv, without what lies beyond r->step. */
int rundir_logs(struct run *r, struct err *e);

/* Appends an event to metrics.jsonl; steals it. */
int rundir_event(struct run *r, json_t *event, struct err *e);
char *rundir_path(const struct run *r, const char *name);  /* new */

/* Removes a directory that is still fresh: a mistake found before the first step leaves nothing behind. */
void rundir_discard(struct run *r);
void rundir_close(struct run *r);

/* ---- checkpoint.c ---- */

/* Writes the trained model as a directory that other tools load: a PEFT adapter or a Hub model. `exact` keeps fp32. */
int checkpoint_export(const struct run *r, const char *dir, bool exact, struct err *e);

int checkpoint_save(struct run *r, struct err *e);     /* RUN/checkpoint-<step>; removes the oldest beyond the limit */
int checkpoint_resume(struct run *r, struct err *e);   /* from the newest; 1 resumed, 0 none, -1 when it is damaged */
int checkpoint_publish(const struct run *r, const char *name, struct err *e);  /* RUN/best or RUN/final */

/* ---- loop.c ---- */

/* SIGUSR1 asks for a checkpoint, which is made between steps; before this call it would end the process. */
void train_catch_save(void);

/* Trains to the end, or until a signal or the deadline: ERR_TEMPFAIL then, with a checkpoint written. */
int train_loop(struct run *r, struct err *e);

/* Rows of the largest micro-batch of the run. */
int train_rows(const struct run *r);

/* ---- validate.c ---- */

int validate_prepare(struct run *r, struct err *e);    /* labels and options; says what is odd about them */

/* Evaluates, logs the event, saves RUN/best when it is the best so far. *m is the caller's to release. */
struct validation {
	struct eval_result result;
	struct metrics metrics;
	bool has_metrics;
};
int validate(struct run *r, struct validation *v, struct err *e);
void validation_release(struct validation *v);

#endif
