/* One step of an optimiser over one parameter: p[n] moves by its gradient g[n], which is read only. In parallel; each
 * element by itself, or each block of DYNAMIC8_BLOCK, so the number of threads changes nothing. */
#ifndef HONE_MATH_UPDATE_H
#define HONE_MATH_UPDATE_H

#include <stddef.h>
#include <stdint.h>

/* AdamW (Loshchilov and Hutter 2019) in torch's order of operations, with all that is the same for every element. */
struct adamw_update {
	float grad_scale;           /* the gradient is multiplied by this first: clipping */
	float beta1, beta2, eps;
	float rest1, rest2;         /* 1 - beta1, 1 - beta2: of the doubles, as 1 - 0.999f is off by 1e-5 */
	float keep;                 /* 1 - lr * decay */
	float step_size;            /* lr / (1 - beta1^t) */
	float v_scale;              /* 1 / sqrt(1 - beta2^t) */
};

void adamw_update(float *p, float *m, float *v, const float *g, size_t n, const struct adamw_update *u);

/* The same with moments kept as codes of dynamic8_signed and dynamic8_unsigned, and a largest magnitude for each of the
 * ceil(n / DYNAMIC8_BLOCK) blocks. A step computes with the moments before they are rounded. */
void adamw8_update(float *p, uint8_t *m, float *m_max, uint8_t *v, float *v_max, const float *g, size_t n,
	const struct adamw_update *u);

/* torch's SGD: x = g * grad_scale + decay * p; velocity = momentum * velocity + x; p -= lr * velocity. Without a
 * velocity (NULL) p -= lr * x. */
struct sgd_update {
	float grad_scale, decay, momentum, lr;
};

void sgd_update(float *p, float *velocity, const float *g, size_t n, const struct sgd_update *u);

#endif
