/* A linear layer y = x W^T + b, with an optional low-rank adapter: y += scale * dropout(x) A^T B^T
 * (Hu et al. 2021, LoRA). */
#ifndef HONE_MODEL_LINEAR_H
#define HONE_MODEL_LINEAR_H

#include <stdint.h>

#include "base/arena.h"

#include "math/rows.h"
#include "model/param.h"

struct lora {
	struct param A;    /* [r, in] */
	struct param B;    /* [out, r] */
	int r;
	float scale;       /* alpha / r, or alpha / sqrt(r) */
	float dropout;     /* probability that an element of x is dropped, in training */
	struct rows xA;    /* [T, r] dropout(x) A^T, kept by forward for backward */
};

struct linear {
	char *name;             /* the module: "model.layers.0.self_attn.q_proj" */
	int in, out;
	struct param *w;        /* [out, in], or stored [in, out] */
	struct param *b;        /* [out], or NULL */
	struct lora *lora;      /* or NULL; owned */
};

/* What a pass lends its linear layers. */
struct linear_pass {
	struct rows dropped;    /* [T, in] of the widest adapted layer */
	struct rows dxA;        /* [T, r] of the largest rank */
	float *turned;          /* [r, out] of the largest B */
	const uint64_t *row_key;  /* [T] of the dropout masks; NULL: no dropout */
};

/* Takes what forward keeps of the adapter for backward, for T rows. */
void linear_take(struct linear *l, struct arena *a, enum num type, int T);

/* Whether the adapter is x A^T B^T and no more. */
static inline bool
linear_has_plain_adapter(const struct linear *l)
{
	return l->lora != NULL;
}

/* Adds to the gradients of W and the bias, if they are trained. */
void linear_backward_base(const struct linear *l, struct rows dy, struct rows x, int T);

/* y[T,out] = ... (beta 0) or += ... (beta 1). */
void linear_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta,
	const struct linear_pass *pass);

/* Adds to the gradients of what is trained here; dx[T,in] = (beta 0) or += (beta 1) unless dx.data is NULL. */
void linear_backward(const struct linear *l, struct rows dx, struct rows dy, struct rows x, int T, float beta,
	const struct linear_pass *pass);

#endif
