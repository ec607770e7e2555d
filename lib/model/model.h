/* A decoder-only transformer: its parameters, and forward and backward over packed documents.
 *
 * Shapes: T rows (tokens of a micro-batch, documents one after the other, no padding), C, H, K, D, F, V as in
 * model/config.h. */
#ifndef HONE_MODEL_MODEL_H
#define HONE_MODEL_MODEL_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/watch.h"
#include "fmt/weights.h"
#include "math/attention.h"
#include "math/norm.h"
#include "math/rows.h"
#include "model/config.h"
#include "model/linear.h"
#include "model/projection.h"
#include "model/rotary.h"

/* What one layer computes on the way forward and backward reads again. Layers share what need not be kept. */
struct activations {
	struct rows input;    /* [T,C] with gradient checkpointing: the residual stream as it comes in, of each layer its own */
	struct rows x;        /* [T,C] the residual stream as the norm before attention sees it */
	struct norm_stat *attn_stat;   /* [T] of that norm */
	struct rows qkv;      /* [T,(H+2K)*D] queries, keys and values; turned and ready for attention without norms of heads */
	struct rows qk;       /* [T,(H+K)*D] with them: normed and turned; qkv keeps them as they were before */
	struct norm_stat *q_stat, *k_stat;  /* [T,H], [T,K] */
	struct rows att;      /* [T,H*D] out of attention */
	float *lse;           /* [T,H] */
	struct rows attn_out; /* [T,C] what attention adds to the residual stream, before the norm of it, if there is one */
	struct norm_stat *attn_post_stat;
	struct rows mid;      /* [T,C] the residual stream as the norm before the feed-forward sees it */
	struct norm_stat *mlp_stat;
	struct rows up;       /* [T,2F] gate, then up; [T,F] without a gate */
	struct rows mlp_out;  /* [T,C] as attn_out */
	struct norm_stat *mlp_post_stat;
};

/* A norm's parameters; w NULL: there is no such norm, b NULL: it has no bias. */
struct norm_params {
	struct param *w, *b;
};

enum { MAX_LINEARS = 7 };  /* of a layer */

struct layer {
	int index;
	struct norm_params attn_norm, mlp_norm;            /* before attention and feed-forward */
	struct norm_params attn_post_norm, mlp_post_norm;  /* of what they add to the residual stream */
	struct norm_params q_norm, k_norm;  /* [D] */
	struct linear linear[MAX_LINEARS];  /* all of the layer's, in the order of the checkpoint; */
	int n_linears;
	struct projection qkv, o, up, down; /* these point into them: [(H+2K)*D,C], [C,H*D]; up [2F,C], [F,C] without a gate */
	struct activations act;
	struct rows cache;              /* [cache_rows,2K*D] in generation: keys and values of all that was seen */
};

struct model {
	struct config config;
	struct weights *weights;      /* the mapped checkpoint; NULL from scratch */
	struct param *param;          /* every parameter of the base, in the checkpoint's usual order */
	size_t n_params;
	enum num compute;             /* what products and activations are in */
	struct param *embed, *positions;  /* [V,C]; [max_position,C] or NULL */
	/* The same as the layers that adapters see, of one-hot rows; name NULL: none. */
	struct linear embed_table, position_table;
	struct watch watch;           /* told of bytes that are loaded and saved; what lies in the mapped file is not */
	float embedding_scale;        /* of rows of `embed`, as transformers rounds it: to the dtype of the checkpoint */
	struct norm_params norm;      /* before the head */
	struct layer *layer;          /* [L] */
	struct linear head;           /* lm_head; its w is `embed` when tied */
	struct projection to_logits;  /* the head by itself */
	bool keep_packed;             /* in training, frozen weights stay packed for the products; set before model_reserve */

	/* What is trained, in a fixed order; empty until model_train_all or lora_attach. */
	struct param **trained;
	size_t n_trained;
	int lowest;                   /* the lowest layer with anything trained; -1: the embeddings are */

	/* Values as loaded; of what is trained, values that had to be made or copied, and gradients; the passes' own. */
	struct arena value_memory, trained_memory, grad_memory, work_memory;
	struct workspace {
		int T, max_len, cache_rows, head_rows;
		enum keep { KEEP_NOTHING, KEEP_INPUTS, KEEP_ALL } keep;
		enum num type;                /* of activations and their gradients: m->compute; the residual stream is fp32 */
		int room;                     /* columns behind those that projections read, for their adapters */
		struct rotary rotary[MAX_ROPES];
		struct rows x;                /* [T,C] the residual stream, on which each layer adds in place */
		struct rows dx;               /* [T,C] its gradient */
		struct rows dy;               /* [T,C] the same as products take it, with room: dx itself, or in bf16 what it was last */
		struct rows xn, dxn;          /* [T,C] a norm's output and its gradient */
		struct rows hidden, dhidden;  /* [head_rows,C] rows that go to the head */
		struct rows hidden_x, dhidden_x;  /* [head_rows,C] the same before the final norm */
		struct norm_stat *stat;       /* [head_rows] of the final norm */
		struct rows logits;           /* [head_rows,V] in training; inference puts fewer there, in fp32 */
		float *coef;                  /* [head_rows] */
		uint64_t *row_key;            /* [head_rows] */
		struct rows act, dup;         /* [T,F], [T,2F] */
		struct rows dqkv, datt;       /* [T,(H+2K)*D], [T,H*D] */
		float *attn;                  /* attention's own */
		struct linear_pass pass;
	} work;
};

/* ---- opening ---- */

struct model_options {
	bool from_scratch;   /* random weights from config.json */
	uint64_t seed;       /* of the random weights */
	int bits;            /* 8, 4: the linear layers' matrices are quantised (math/quantize.h); 0: none is */
	enum num compute;    /* NUM_BF16: products and activations in bf16 */
	struct watch watch;  /* goes to model.watch */
};

/* Loads a model directory. Matrices in F32, BF16 or F16 are used where they lie in the mapped file; what else there is,
 * and whatever is to be trained, is converted into fp32. Quantised ones are frozen: model_train_all is not for them. */
int model_open(struct model *m, const char *dir, const struct model_options *opt, struct err *e);
void model_release(struct model *m);

/* Of the checkpoint's file, how much is read again and again where it is mapped. */
size_t model_mapped_bytes(const struct model *m);

/* Gives the head of a tied model a parameter "lm_head.weight" of its own, which until it is placed elsewhere has the
 * values of the embeddings, where these lie. */
void model_untie(struct model *m);

/* Gives every parameter a gradient (--method full). Call before model_reserve, and not with an adapter. */
void model_train_all(struct model *m);

/* All parameters of the base. */
size_t model_parameters(const struct model *m);

/* ERR_DATA when a model of learned positions has none for a document of so many tokens. */
int model_check_length(const struct model *m, int length, struct err *e);

/* Whether a document's length changes what is computed of its first tokens, where rotary embeddings turn by it: then
 * documents that begin alike cannot share that. After model_reserve. */
bool model_length_matters(const struct model *m);

/* Whether in training, too, documents that begin alike can share that: dropout draws for each of them, and attention's
 * backward does not go through windows that end within them. After model_reserve. */
bool model_may_share(const struct model *m);

/* All linear layers of the model by number, each layer's in turn, then the head: NULL beyond the last. */
struct linear *model_linear(const struct model *m, size_t i);

/* All that an adapter can be put on, by number: the tables, then the linear layers as above. And whether it is a table. */
struct linear *model_module(const struct model *m, size_t i);
bool model_is_table(const struct model *m, const struct linear *l);

/* Sizes all working memory: micro-batches of at most T rows, documents of at most max_len (with their prefix), and in
 * generation `cache_rows` rows of keys and values a layer (otherwise 0: documents are whole in a batch). What forward
 * keeps: nothing (inference), each layer's input, from which backward computes the rest again (gradient checkpointing),
 * or all that backward needs. Called again it starts afresh. After it no pass allocates anything. */
void model_reserve(struct model *m, int T, int max_len, int cache_rows, enum keep keep);
size_t model_work_bytes(const struct model *m);  /* of what model_reserve took */

/* How much of that keep_packed takes; the weights as they are stored are not read again then, but for the embeddings. Once
 * all that is to be trained is chosen. And whether that is worth it by itself: with tiles, which multiply so fast that
 * packing for a few hundred rows takes a third of the time, and as far as it takes no more than a gigabyte. */
size_t model_kept_bytes(const struct model *m);
bool model_should_keep(const struct model *m);

/* The tensor of the checkpoint that holds a parameter; NULL when there is none. */
const struct st_tensor *model_find_tensor(const struct model *m, const struct param *p);

/* ---- passes ---- */

struct batch {
	int T;
	const int32_t *ids;             /* [T] */
	const int32_t *pos;             /* [T] place within the document, prefix counted */
	const struct attn_doc *docs;    /* [n_docs] */
	int n_docs;
	int kv_row;                     /* where this batch's keys and values go in the cache, if there is one */
	int length;                     /* of the document in tokens, where the batch has only a part; 0: what docs say */
	int n_targets;
	const int32_t *target_row;      /* [n_targets] ascending: the row whose output predicts */
	const int32_t *target_id;       /* [n_targets] the token it should predict */
	const float *target_weight;     /* [n_targets] */
	const uint64_t *row_key;        /* [T] of the dropout masks and the noise; NULL: none of them */
	float noise;                    /* NEFTune's alpha; 0: no noise */
};

/* The stack of layers; leaves the residual stream in m->work.x. */
void model_forward(struct model *m, const struct batch *b);

/* Loss at the targets: nll[n_targets] and best[n_targets] (argmax). With coef_scale != 0 also backward through
 * the head: the gradient of coef_scale * sum(weight * nll) goes into m->work.dx and the head's and norm's gradients. */
void model_loss(struct model *m, const struct batch *b, float coef_scale, float *nll, int32_t *best);

/* Backward through the layers from m->work.dx, adding to the gradients of all that is trained. */
void model_backward(struct model *m, const struct batch *b);

/* Logits [n,V] of the given rows of m->work.x, in chunks: f gets rows first .. first+n-1 of `rows` and may
 * overwrite them. */
typedef void logits_fn(void *ctx, int first, int n, float *logits);
void model_logits(struct model *m, const int32_t *rows, int n, logits_fn *f, void *ctx);

/* ---- trained parameters ---- */

void model_zero_grad(struct model *m);
double model_grad_norm(const struct model *m);   /* global L2 norm */
size_t model_trained_parameters(const struct model *m);

/* ---- saving ---- */

/* Writes the base's parameters as a Hub model directory's model.safetensors into an existing directory, by the names
 * of the checkpoint that they were read from, as `dtype`, or each in the dtype it was stored in when `as_stored`. */
int model_save_weights(const struct model *m, const char *dir, bool as_stored, enum st_dtype dtype, struct err *e);

/* Copies what a tokenizer needs (vocabulary, templates), those files that exist. */
int model_copy_tokenizer(const char *from, const char *to, struct err *e);

/* Copies config.json, generation_config.json and the tokenizer's files; a dtype replaces config.json's own. */
int model_copy_config(const char *from, const char *to, const char *dtype, struct err *e);

#endif
