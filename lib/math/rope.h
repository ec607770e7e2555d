/* Rotary position embedding (Su et al. 2021) in the rotate-half form: element d of a head is paired with
 * d + rotary/2, and the pair is turned by position * frequency[d]. */
#ifndef HONE_MATH_ROPE_H
#define HONE_MATH_ROPE_H

#include <stdint.h>

#include "math/rows.h"

enum rope_type { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope {
	enum rope_type type;
	double theta;       /* base of the frequencies */
	int rotary;         /* dimensions of a head that turn; even; the rest pass */
	double factor, low_freq_factor, high_freq_factor;  /* linear: factor; llama3: all three */
	int original_max_position;                         /* llama3 */
};

/* Frequencies [rotary/2], in fp32 as transformers computes them (modeling_rope_utils). */
void rope_frequencies(float *freq, const struct rope *r);

/* cos and sin [positions, rotary/2] of position * frequency. */
void rope_table(float *cos, float *sin, const float *freq, int positions, int rotary);

/* Turns the first `rotary` elements of n heads of T rows in place by each row's position; `sign` +1 forward, -1 backward
 * (the inverse turn). */
void rope_apply(struct heads x, const float *cos, const float *sin, const int32_t *pos, int T, int n, int rotary,
	float sign);

#endif
