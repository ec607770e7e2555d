/* Rotary position embedding (Su et al. 2021) in the rotate-half form: element d of a head is paired with
 * d + rotary/2, and the pair is turned by position * frequency[d]. How frequencies are scaled for contexts longer than
 * those of pre-training is as transformers computes it (modeling_rope_utils). */
#ifndef HONE_MATH_ROPE_H
#define HONE_MATH_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#include "math/rows.h"

enum rope_type {
	ROPE_DEFAULT,
	ROPE_LINEAR,      /* all divided by factor */
	ROPE_LLAMA3,      /* long wavelengths divided by factor, short ones kept, those between blended */
	ROPE_YARN,        /* likewise, by turns within the original context (Peng et al. 2023) */
	ROPE_DYNAMIC,     /* the base grows with a document that is longer than the original context */
	ROPE_LONGROPE,    /* each divided by a factor of its own, from one list or the other by the document's length */
};

struct rope {
	enum rope_type type;
	double theta;              /* base of the frequencies */
	int rotary;                /* dimensions of a head that turn; even; the rest pass */
	double factor;             /* linear, llama3, yarn, dynamic */
	double low_freq_factor, high_freq_factor;  /* llama3 */
	double beta_fast, beta_slow;               /* yarn: turns from which on a frequency is kept; below which it is divided */
	bool truncate;                             /* yarn: the bounds between are whole dimensions */
	int original_max_position;                 /* llama3, yarn, dynamic, longrope */
	const float *short_factor, *long_factor;   /* longrope: [rotary/2] */
	float attention_factor;                    /* of cos and sin: 1, but for yarn and longrope */
};

/* Whether documents of up to max_len tokens do not all have the same frequencies. */
bool rope_varies(const struct rope *r, int max_len);

/* Frequencies [rotary/2] in a document of `length` tokens, in fp32. */
void rope_frequencies(float *freq, const struct rope *r, int length);

/* Rows of cos and sin [n, rotary/2] of position * frequency, times the attention factor, for positions pos[n], or
 * 0 .. n-1 when pos is NULL. */
void rope_table(float *cos, float *sin, const float *freq, const int32_t *pos, int n, const struct rope *r);

/* Turns the first `rotary` elements of n heads of T rows in place, row t by row at[t] of the table. `sign` +1: forward;
 * -1: from the gradient of what forward gave to that of what it was given. */
void rope_apply(struct heads x, const float *cos, const float *sin, const int32_t *at, int T, int n, int rotary,
	float sign);

#endif
