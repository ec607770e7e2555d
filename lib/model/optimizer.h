/* Optimisers over all that a model trains: AdamW, AdamW with moments of eight bits, and SGD. The updates themselves are
 * in math/update.h. */
#ifndef HONE_MODEL_OPTIMIZER_H
#define HONE_MODEL_OPTIMIZER_H

#include "base/arena.h"
#include "model/model.h"

enum optimizer_type { OPTIMIZER_ADAMW, OPTIMIZER_ADAMW8BIT, OPTIMIZER_SGD };

struct optimizer_options {
	enum optimizer_type type;
	double beta1, beta2, eps;  /* of AdamW */
	double momentum;           /* of SGD; 0: no velocity is kept */
	double weight_decay;       /* on matrices only; decoupled in AdamW, added to the gradient in SGD */
};

/* A tensor that an optimiser keeps for a parameter. */
struct moment {
	const char *name;          /* behind the parameter's: "m", "v", "m.max"; NULL: the parameter has no such */
	enum st_dtype dtype;       /* F32 or U8 */
	bool as_param;             /* it has the parameter's shape; else one dimension */
	size_t n;
	void *data;
};

enum { MOMENTS = 4 };

struct optimizer {
	struct optimizer_options opt;
	int64_t step;                      /* updates done */
	struct moment (*moment)[MOMENTS];  /* [n_trained] in the order of their names, each as its parameter */
	double *rate_ratio;                /* [n_trained] its learning rate is so many times the common one; 1 */
	struct arena memory;
};

/* Moments for every trained parameter of the model, zero. With ADAMW8BIT, parameters of fewer than OPTIMIZER_SMALL elements
 * and the embeddings keep fp32 moments, as with bitsandbytes under Trainer. */
enum { OPTIMIZER_SMALL = 4096 };
void optimizer_init(struct optimizer *o, const struct model *m, const struct optimizer_options *opt);
void optimizer_release(struct optimizer *o);

/* LoRA+ (Hayou et al. 2024): every lora_B matrix learns `ratio` times as fast as the rest. Returns how many there are. */
size_t optimizer_set_loraplus(struct optimizer *o, const struct model *m, double ratio);

/* One update with gradients multiplied by grad_scale (the clipping coefficient). */
void optimizer_step(struct optimizer *o, struct model *m, double learning_rate, double grad_scale);

#endif
