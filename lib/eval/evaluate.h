/* A model over a dataset: loss and accuracies, and, for a classification, a prediction for each example. The trainer
 * calls this at the end of an epoch, and hone-eval by itself.
 *
 * The score of a label is the log-probability of its tokens after the prompt. What is computed once is the prompt, what labels
 * share, and in a micro-batch what examples begin with alike (eval/micro.h). When one label's tokens begin another's, each label's score
 * includes the end-of-sequence token that must follow; otherwise the labels are already exclusive and it does not. By the
 * first-token rule (that of the legacy service) only a label's first token counts. Probabilities are the softmax over the
 * labels. */
#ifndef HONE_EVAL_EVALUATE_H
#define HONE_EVAL_EVALUATE_H

#include "eval/labels.h"
#include "eval/predictions.h"
#include "fmt/dataset.h"
#include "model/model.h"

struct eval_options {
	const struct label_set *labels;  /* NULL: no classification */
	bool first_token;
	int32_t eos;                     /* needed when the labels are not prefix-free */
	size_t max_samples;              /* 0: the whole dataset */
	int micro_tokens;                /* rows of a micro-batch; a longer example has one of its own */
	bool (*progress)(void *ctx, size_t done, size_t total);  /* or NULL; false ends it with ERR_TEMPFAIL */
	void *ctx;
};

struct eval_result {
	double loss;               /* mean over the targets, by weight */
	double token_accuracy;     /* share of the completion's targets that are the most probable token; NAN: none */
	double sequence_accuracy;  /* share of the examples with such targets that have all of them right */
	uint64_t examples, tokens, targets;
	struct predictions predictions;  /* without rows when there is no classification; the caller releases */
};

/* Makes o score these labels (borrowed), after checking what the command line says of them: ERR_DATA when there are not
 * n_classes of them (0: any number but none) or none is `positive` (may be NULL), whose class goes to *positive_class
 * (-1 without one); ERR_CONFIG when an end-of-text token is needed to tell them apart and o->eos is unknown. */
int eval_set_labels(struct eval_options *o, const struct label_set *labels, int n_classes, const char *positive,
	int *positive_class, int V, struct err *e);

/* Rows and document length that model_reserve must allow for. */
int eval_rows(const struct dataset *d, const struct eval_options *o);
int eval_max_length(const struct dataset *d, const struct eval_options *o);

int evaluate(struct model *m, struct dataset *d, const struct eval_options *o, struct eval_result *r, struct err *e);

#endif
