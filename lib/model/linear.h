/* A linear layer y = x W^T + b, with an optional low-rank adapter: y += scale * dropout(x) A^T B^T
 * (Hu et al. 2021, LoRA).
 *
 * With DoRA (Liu et al. 2024) the rows of W + scale B A are brought to lengths that are trained: with
 * u = W x + scale B A x and gain = magnitude / norm, where norm is that of each row and counts as a constant when
 * gradients are taken, y = gain u + b. Dropout reaches the matrix, too, as in PEFT: with x' = dropout(x),
 * y = W x + (gain - 1) W x' + gain scale B A x' + b. */
#ifndef HONE_MODEL_LINEAR_H
#define HONE_MODEL_LINEAR_H

#include <stdint.h>

#include "base/arena.h"

#include "math/rows.h"
#include "model/param.h"

struct lora {
	struct param A;    /* [r, in] */
	struct param B;    /* [out, r] */
	struct param magnitude;  /* [out] of DoRA; without a name where there is none */
	int r;
	float scale;       /* alpha / r, or alpha / sqrt(r) */
	float dropout;     /* probability that an element of x is dropped, in training */
	struct rows xA;    /* [T, r] dropout(x) A^T, kept by forward for backward */

	/* DoRA's: */
	float *norm;       /* [out] of the rows of W + scale B A, as of lora_refresh */
	float *gain;       /* [out] magnitude / norm, made by forward */
	struct rows u;     /* [T, out] W x' + scale B A x', likewise kept */
};

static inline bool
lora_is_dora(const struct lora *a)
{
	return a->magnitude.name != NULL;
}

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
	struct rows gained;     /* [T, out] of the widest layer with DoRA */
	float *turned;          /* [r, out] of the largest B */
	const uint64_t *row_key;  /* [T] of the dropout masks; NULL: no dropout */
};

/* Takes what forward keeps of the adapter for backward, for T rows: in `type`, and the output that DoRA keeps in
 * `out_type`. *u is that output: of one's own when it comes in empty, otherwise shared. */
void linear_take(struct linear *l, struct arena *a, enum num type, enum num out_type, int T, struct rows *u);

/* Whether the adapter is x A^T B^T and no more. */
static inline bool
linear_has_plain_adapter(const struct linear *l)
{
	return l->lora && !lora_is_dora(l->lora);
}

/* y[T,out] = ... (beta 0) or += ... (beta 1). */
void linear_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta,
	const struct linear_pass *pass);

/* Backward in two parts, as what is read by the second may be computed again only after the first. dx[T,in] = (beta 0)
 * or += (beta 1) unless dx.data is NULL; adds to the gradients of B and of the magnitude, if they are trained. */
void linear_backward(const struct linear *l, struct rows dx, struct rows dy, int T, float beta,
	const struct linear_pass *pass);

/* Adds to those of W, of the bias and of A, with what linear_backward left in pass->dxA. */
void linear_weights(const struct linear *l, struct rows dy, struct rows x, int T, const struct linear_pass *pass);

/* Those of W and the bias alone. */
void linear_base_weights(const struct linear *l, struct rows dy, struct rows x, int T);

/* What embeddings share with them: makes gain; adds scale dy^T xA and the like to the gradients of B and the magnitude
 * (dy: at the output; gained: the same times gain), and leaves scale * gained B in dxA. */
void lora_set_gain(struct lora *a);
void lora_backward_B(const struct lora *a, struct rows dxA, struct rows dy, struct rows gained, int T);

#endif
