/* Layers side by side computed as one product against the same layers one after the other, in bf16 and in fp32: results,
 * gradients of what goes in, of A, B, matrices and biases. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/product.h"
#include "model/projection.h"

enum { T = 37, IN = 96, MAX_OUT = 160, OUTS = 256, ROOM = 64 };

/* Three layers; which of them have an adapter, and of what rank. */
struct setup {
	int n, out[MAX_PROJECTED], rank[MAX_PROJECTED];
	bool transposed, bias, train_base, no_dx;
};

static const struct setup setups[] = {
	{3, {64, 32, 32}, {8, 8, 8}, false, false, false, false},
	{3, {160, 64, 32}, {8, 0, 4}, false, true, false, false},
	{2, {96, 96}, {0, 2}, false, false, true, false},
	{3, {64, 32, 32}, {0, 0, 0}, false, true, true, false},
	{1, {160}, {34}, true, true, false, true},
	{1, {32}, {8}, true, false, true, false},
};

struct layers {
	struct linear l[MAX_PROJECTED];
	struct param w[MAX_PROJECTED], b[MAX_PROJECTED];
	struct lora lora[MAX_PROJECTED];
	struct projection p;
	struct arena memory;
	struct linear_pass pass;
	enum num type;
	struct rows x, y, dy, dx;  /* with room */
	float *A, *dA;
};

static void
make_matrix(struct param *p, char *name, int rows, int columns, float *values, float *grad)
{
	*p = (struct param){.name = name, .rank = 2, .rows = rows, .columns = columns};
	param_place(p, values);
	p->grad = grad;
}

static void
make_linear(struct layers *s, const struct setup *set, int i, float *A, float *dA)
{
	size_t n = (size_t)(set->out[i] * IN);
	uint64_t seed = (uint64_t)(10 * i);
	struct linear *l = &s->l[i];
	*l = (struct linear){.name = "layer", .in = IN, .out = set->out[i], .w = &s->w[i], .b = set->bias ? &s->b[i] : NULL};
	float *w = random_floats(n, 0.1, seed + 1);
	s->w[i] = (struct param){.name = "w", .rank = 2, .rows = set->transposed ? IN : l->out,
		.columns = set->transposed ? l->out : IN, .transposed = set->transposed};
	param_place(&s->w[i], w);
	s->w[i].grad = set->train_base ? random_floats(n, 1, seed + 2) : NULL;
	s->b[i] = (struct param){.name = "b", .rank = 1, .rows = l->out, .columns = 1,
		.value = random_floats((size_t)l->out, 1, seed + 3),
		.grad = set->train_base ? random_floats((size_t)l->out, 1, seed + 4) : NULL};
	int r = set->rank[i];
	if (!r)
		return;
	l->lora = &s->lora[i];
	s->lora[i] = (struct lora){.r = r, .scale = 0.5f};
	make_matrix(&s->lora[i].A, "lora_A", r, IN, A, dA);
	make_matrix(&s->lora[i].B, "lora_B", l->out, r, random_floats((size_t)(l->out * r), 0.3, seed + 5),
		random_floats((size_t)(l->out * r), 1, seed + 6));
}

/* T rows of so many columns. */
static struct rows
random_rows(enum num type, int columns, uint64_t seed)
{
	struct rows r = {hold(xcalloc((size_t)(T * columns), sizeof(float))), columns, type};
	rows_copy(r, rows_f32(random_floats((size_t)(T * columns), 1, seed), columns), T, columns);
	return r;
}

static int
outs(const struct setup *set)
{
	int n = 0;
	for (int i = 0; i < set->n; i++)
		n += set->out[i];
	return n;
}

/* The same numbers every time it is called. */
static void
make(struct layers *s, const struct setup *set, enum num type, bool keep)
{
	int at = 0;
	*s = (struct layers){.p = {.first = s->l, .n = set->n}, .type = type};
	s->A = random_floats(MAX_PROJECTED * 40 * IN, 0.3, 7);
	s->dA = random_floats(MAX_PROJECTED * 40 * IN, 1, 8);
	for (int i = 0; i < set->n; at += set->rank[i++] * IN)
		make_linear(s, set, i, s->A + at, s->dA + at);
	s->x = random_rows(type, IN + ROOM, 1);
	s->dy = random_rows(type, OUTS + ROOM, 2);
	s->y = random_rows(type, OUTS + ROOM, 3);
	s->dx = random_rows(type, IN + ROOM, 4);
	s->pass.dxA = random_rows(type, 40 + ROOM, 5);
	s->pass.turned = random_floats(40 * MAX_OUT, 1, 6);
	for (int pass = 0; pass < 2; pass++) {
		projection_take(&s->p, &s->memory, type, T, NULL, keep);
		if (pass == 0)
			arena_make(&s->memory);
	}
	projection_pack(&s->p, type);
}

static void
run(struct layers *s, const struct setup *set)
{
	projection_forward(&s->p, s->y, s->x, T, 0, &s->pass);
	projection_backward(&s->p, set->no_dx ? (struct rows){0} : s->dx, s->dy, T, &s->pass);
	projection_weights(&s->p, s->dy, s->x, T, &s->pass);
}

/* Relative, in the Euclidean norm. */
static void
assert_close(const float *a, const float *b, size_t n, double band)
{
	double error = 0, size = 0;
	for (size_t i = 0; i < n; i++) {
		error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		size += (double)b[i] * (double)b[i];
	}
	assert_true(sqrt(error) <= band * sqrt(size));
}

static void
assert_rows_close(struct rows a, struct rows b, int columns, double band)
{
	float *x = hold(xreallocarray(NULL, (size_t)(T * columns), sizeof *x)), *y = copy_floats(x, (size_t)(T * columns));
	rows_copy(rows_f32(x, columns), a, T, columns);
	rows_copy(rows_f32(y, columns), b, T, columns);
	assert_close(x, y, (size_t)(T * columns), band);
}

/* One after the other, a result is rounded again for each thing that is added: in bf16 some units of 2^-9 apart. */
static void
check_fused(const struct setup *set, enum num type)
{
	const double units = type == NUM_BF16 ? 1 : 1e-4;
	struct layers one, apart;
	make(&one, set, type, false);
	make(&apart, set, type, false);
	assert_true(one.p.fused);
	apart.p.fused = false;
	for (int j = 0; j < set->n; j++)
		if (apart.l[j].lora)
			apart.l[j].lora->xA = random_rows(type, apart.l[j].lora->r, 9);
	run(&one, set);
	run(&apart, set);
	assert_rows_close(one.y, apart.y, outs(set), 0.01 * units);
	assert_rows_close(one.dx, apart.dx, IN, 0.01 * units);
	assert_close(one.dA, apart.dA, MAX_PROJECTED * 40 * IN, 0.005 * units);
	for (int j = 0; j < set->n; j++) {
		size_t n = (size_t)(set->out[j] * IN);
		if (set->rank[j])
			assert_close(one.lora[j].B.grad, apart.lora[j].B.grad, (size_t)(set->out[j] * set->rank[j]), 0.005 * units);
		if (set->train_base) {
			assert_close(one.w[j].grad, apart.w[j].grad, n, 1e-5);
			assert_close(one.b[j].grad, apart.b[j].grad, (size_t)set->out[j], 1e-5);
		}
	}
	arena_release(&one.memory);
	arena_release(&apart.memory);
	release_all();
}

static void
test_fused(void **state)
{
	(void)state;
	for (int type = NUM_F32; type <= NUM_BF16; type++)
		for (size_t i = 0; i < sizeof setups / sizeof *setups && product_takes_parts((enum num)type); i++)
			check_fused(&setups[i], (enum num)type);
}

/* Frozen weights that stay packed, in two passes, change nothing to the bit. */
static void
check_kept(const struct setup *set)
{
	struct layers kept, each;
	make(&kept, set, NUM_BF16, true);
	make(&each, set, NUM_BF16, false);
	bool packs = !set->train_base && product_kept_size(NUM_BF16, 1, 1) > 0;
	assert_int_equal(projection_kept_bytes(&kept.p, NUM_BF16) > 0, packs);
	assert_int_equal(kept.p.kept[0] && kept.p.kept[1], packs);
	for (int pass = 0; pass < 2; pass++) {
		run(&kept, set);
		run(&each, set);
	}
	assert_rows_close(kept.y, each.y, outs(set), 0);
	assert_rows_close(kept.dx, each.dx, IN, 0);
	assert_same_floats(kept.dA, each.dA, MAX_PROJECTED * 40 * IN);
	arena_release(&kept.memory);
	arena_release(&each.memory);
	release_all();
}

static void
test_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof setups / sizeof *setups; i++)
		check_kept(&setups[i]);
}

/* Adapters of two scales, odd ranks, dropout, or a layer that is no multiple of a vector: one after the other. */
static void
test_not_fused(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct layers s;
		make(&s, &setups[0], NUM_BF16, false);
		if (i == 0)
			s.lora[1].scale = 0.25f;
		if (i == 1)
			s.lora[0].r = 7;
		if (i == 2)
			s.lora[2].dropout = 0.1f;
		if (i == 3)
			s.l[0].out = 60;
		struct arena count = {0};
		projection_take(&s.p, &count, NUM_BF16, T, NULL, false);
		assert_false(s.p.fused);
		arena_release(&s.memory);
		release_all();
	}
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fused),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_not_fused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
