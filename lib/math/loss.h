/* Softmax and cross entropy over rows of logits, forward and backward in one pass. */
#ifndef HONE_MATH_LOSS_H
#define HONE_MATH_LOSS_H

#include <stdint.h>

#include "math/rows.h"

/* For each of n rows of logits [n,V]: nll[i] = -log softmax(logits[i])[target[i]] and best[i] = argmax (the lowest
 * index on a tie). When coef is given, logits[i] becomes coef[i] * (softmax - onehot(target)), the gradient of
 * coef[i] * nll[i]; otherwise it is kept. A row of coef 0 still has its nll. */
void cross_entropy(struct rows logits, float *nll, int32_t *best, const int32_t *target, const float *coef, int n, int V);

/* lse[i] = log of the sum of the exponentials of row i, best[i] = argmax; logits are kept. */
void log_sum_exp(float *lse, int32_t *best, const float *logits, int n, int V);

#endif
