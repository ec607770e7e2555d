/* One architecture is one table of facts: what its config.json and its tensors are called, and which of the
 * computations that model/layer.c knows it puts together. What a checkpoint says itself is in model/config.h. */
#ifndef HONE_MODEL_FAMILY_H
#define HONE_MODEL_FAMILY_H

#include <stdbool.h>

#include "math/norm.h"

/* Keys of config.json. NULL: the family has no such key. */
struct family_keys {
	const char *hidden, *layers, *heads, *kv_heads, *feed_forward, *max_position;
	const char *norm_eps, *activation;
	const char *rope_theta, *partial_rotary;
};

/* Names of tensors, less ".weight" and ".bias". */
struct family_names {
	const char *decoder;         /* comes before all but the head; files of the bare decoder lack it */
	const char *embed;
	const char *positions;       /* the table of learned positions; NULL: none */
	const char *layers;          /* comes before a layer's number */
	const char *final_norm;
	const char *head;            /* the module, in full */
	const char *stored_head;     /* its tensor in files, where that has another name; else NULL */

	/* Within a layer. Of projections side by side there are as many names as matrices: one when they are fused. */
	const char *qkv[3], *o;
	const char *up[2], *down;    /* the gate comes first */
	const char *q_norm, *k_norm; /* of each head; NULL: none */
	const char *attn_norm, *mlp_norm;            /* before attention and feed-forward */
	const char *attn_post_norm, *mlp_post_norm;  /* of what each adds to the residual stream; NULL: none */

	/* Ends of names of what old files hold besides parameters. */
	const char *buffers[3];
};

struct family {
	const char *model_type;
	const struct family_keys *keys;
	const struct family_names *names;

	/* What is computed. */
	enum norm_kind norm;
	bool gated;                  /* the feed-forward's activation is a gate on a second projection */
	bool parallel;               /* use_parallel_residual by default: attention and feed-forward read the same x */
	bool interleaved;            /* the fused projection's rows are [heads][q,k,v], not [q,k,v][heads] */
	bool conv1d;                 /* linear layers are stored [in,out] */
	bool scaled_embedding;       /* times the square root of the hidden size */
	bool padded;                 /* the embedding of pad_token_id is not trained (torch's padding_idx) */
	bool no_rope_layers;         /* some layers have no rotary embedding */
	enum { BIAS_NEVER, BIAS_ALWAYS, BIAS_ASKED } qkv_bias, o_bias, mlp_bias;  /* ASKED: attention_bias, mlp_bias */
	enum { WINDOW_NEVER, WINDOW_ALWAYS, WINDOW_SWITCH, WINDOW_PATTERN } window;
	/* ALWAYS: in all layers; SWITCH: with use_sliding_window, from max_window_layers on; PATTERN: in all but every
	 * sliding_window_pattern-th. layer_types goes before all of these. */

	/* Defaults of config.json. */
	double norm_eps;
	const char *activation;
	bool tied, attention_bias;
	int head_dim;                /* 0: the hidden size shared out among the heads */
	int window_size;             /* 0: none */
	int score_scalar;            /* query_pre_attn_scalar; 0: the family has no such key, and the head size counts */
	double theta, local_theta;   /* of the rotary embedding; local_theta: of sliding layers, 0 when the same */
	double partial;              /* share of a head that turns; 0: all of it, whatever the file says */
	int original_max_position;   /* original_max_position_embeddings; 0: max_position_embeddings */

	/* Random weights: GPT-2 divides those of what adds to the residual stream by sqrt(2 layers). */
	bool scaled_init;
};

/* NULL when there is none of that name. */
const struct family *family_find(const char *model_type);

/* The names of all, for messages: "gpt2, llama, ..."; static memory. */
const char *family_list(void);

#endif
