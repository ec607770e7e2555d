/* Compiling and rendering: contexts, statements, scopes. */
#include "text/jinja.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_int.h"

enum {
	TEMPLATE_BYTES_MAX = 1 << 20,
	COMPILE_MEMORY_MAX = 256 << 20,
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  /* a hundredth, so that what goes on and on is soon over */
	RENDER_MEMORY_MAX = 16 << 20,
	STEPS_MAX = 500 * 1000,
#else
	RENDER_MEMORY_MAX = 512 << 20,
	STEPS_MAX = 50 * 1000 * 1000,
#endif
	OUTPUT_BYTES_MAX = 256 << 20,
	CHUNK_BYTES = 16 << 10,
};

/* ---- context ---- */

struct jinja_chunk {
	struct jinja_chunk *next;
	size_t n, cap;
	_Alignas(16) char data[];
};

void *
jinja_alloc(struct jinja_ctx *c, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > c->limit - c->used)
		jinja_fail(c, "the template needs more than %zu MiB", c->limit >> 20);
	bytes = (bytes + 15) / 16 * 16;
	c->used = c->limit - c->used < bytes ? c->limit : c->used + bytes;
	struct jinja_chunk *k = c->chunks;
	if (!k || bytes > k->cap - k->n) {
		size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
		k = xmalloc(sizeof *k + cap);
		*k = (struct jinja_chunk){.next = c->chunks, .cap = cap};
		c->chunks = k;
	}
	void *p = memset(k->data + k->n, 0, bytes);
	k->n += bytes;
	return p;
}

void
jinja_release(struct jinja_ctx *c)
{
	for (struct jinja_chunk *k = c->chunks, *next; k; k = next) {
		next = k->next;
		free(k);
	}
	c->chunks = NULL;
}

void
jinja_step(struct jinja_ctx *c, size_t n)
{
	if (n >= c->steps)
		jinja_fail(c, "the template takes too many steps");
	c->steps -= n;
}

void
jinja_step_text(struct jinja_ctx *c, struct str s)
{
	jinja_step(c, s.n / 64);
}

void
jinja_step_pairs(struct jinja_ctx *c, struct str a, struct str b)
{
	jinja_step(c, (a.n / 64) * (b.n / 64));
}

void
jinja_fail(struct jinja_ctx *c, const char *fmt, ...)
{
	char text[sizeof c->e->msg];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(c->e, c->code, "'%.200s': line %d: %.700s", c->name, c->line, text);
	longjmp(c->failed, 1);
}

/* ---- scopes ---- */

/* Assigns in the innermost scope. */
void
jinja_assign(struct run *r, struct str name, struct value v)
{
	struct variable *there = r->scope->vars;
	while (there && !str_eq(there->name, name))
		there = there->next;
	if (!there) {
		there = jinja_alloc(&r->c, 1, sizeof *there);
		*there = (struct variable){name, v, r->scope->vars};
		r->scope->vars = there;
	}
	there->value = v;
}

static void
push_scope(struct run *r, struct scope *up)
{
	struct scope *s = jinja_alloc(&r->c, 1, sizeof *s);
	s->up = up;
	r->scope = s;
}

static void
assign_one(struct run *r, const struct node *target, struct value v)
{
	if (target->kind == N_NAME) {
		jinja_assign(r, target->v.s, v);
		return;
	}
	struct value ns = jinja_eval(r, target->a);
	if (ns.kind != V_NAMESPACE)
		jinja_fail(
			&r->c, "'%.*s' is not a namespace, so nothing in it can be set", STR(target->a->v.s));
	jv_dict_set(&r->c, ns.ns, target->v, v);
}

/* To one target, or item by item to several. */
static void
assign(struct run *r, const struct node *n, struct value v)
{
	if (n->n == 1) {
		assign_one(r, n->kid[0], v);
		return;
	}
	struct value items = jv_iterate(&r->c, v);
	if (items.list->n != n->n)
		jinja_fail(&r->c, "%zu values cannot go to %zu names", items.list->n, n->n);
	for (size_t i = 0; i < n->n; i++)
		assign_one(r, n->kid[i], items.list->v[i]);
}

/* ---- statements ---- */

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static enum flow run_body(struct run *r, const struct node *n);

static void
print(struct run *r, struct str s)
{
	if (s.n > OUTPUT_BYTES_MAX - (r->out->len - r->out_start))
		jinja_fail(&r->c, "the template prints more than %d MiB", OUTPUT_BYTES_MAX >> 20);
	buf_append(r->out, s.p ? s.p : "", s.n);
}

/* What a body prints, taken instead of printed. */
static struct str
capture(struct run *r, const struct node *body)
{
	size_t start = r->out->len;
	run_body(r, body);
	struct strbuf b = {.c = &r->c};
	strbuf_add(&b, r->out->data + start, r->out->len - start);
	r->out->len = start;
	return strbuf_get(&b);
}

/* The items of a loop: all of them, or those that its "if" lets through. */
static const struct list *
loop_items(struct run *r, const struct node *n)
{
	const struct list *all = jv_iterate(&r->c, jinja_eval(r, n->a)).list;
	if (!n->d)
		return all;
	struct value *v = jinja_alloc(&r->c, all->n, sizeof *v);
	struct scope *outer = r->scope;
	size_t m = 0;
	push_scope(r, outer);
	for (size_t i = 0; i < all->n; i++) {
		assign(r, n, all->v[i]);
		if (jv_true(jinja_eval(r, n->d)))
			v[m++] = all->v[i];
	}
	r->scope = outer;
	return jv_list(&r->c, v, m).list;
}

static enum flow
run_for(struct run *r, const struct node *n)
{
	const struct list *items = loop_items(r, n);
	struct scope *outer = r->scope;
	struct loop *loop = jinja_alloc(&r->c, 1, sizeof *loop);
	*loop = (struct loop){.items = items, .depth = ++r->loop_depth};
	for (; loop->i < items->n; loop->i++) {
		jinja_step(&r->c, 1);
		push_scope(r, outer);
		jinja_assign(r, str_lit("loop"), (struct value){.kind = V_LOOP, .loop = loop});
		assign(r, n, items->v[loop->i]);
		if (run_body(r, n->b) == FLOW_BREAK)
			break;
	}
	r->loop_depth--;
	r->scope = outer;
	return items->n ? FLOW_ON : run_body(r, n->c);
}

static enum flow
run_if(struct run *r, const struct node *n)
{
	while (!jv_true(jinja_eval(r, n->a))) {
		bool elif = n->c && n->c->kind == N_IF && !n->c->next;
		if (!elif)
			return run_body(r, n->c);
		n = n->c;
	}
	return run_body(r, n->b);
}

/* What the body prints, through the filters if there are any. */
static struct value
filtered(struct run *r, const struct node *n)
{
	struct scope *outer = r->scope;
	push_scope(r, outer);
	struct value text = jv_string(capture(r, n->b));
	if (n->d) {
		jinja_assign(r, (struct str){"", 0}, text);
		text = jinja_eval(r, n->d);
	}
	r->scope = outer;
	return text;
}

static void
run_set(struct run *r, const struct node *n)
{
	assign(r, n, n->a ? jinja_eval(r, n->a) : filtered(r, n));
}

static void
run_caller(struct run *r, const struct node *n)
{
	struct macro *m = jinja_alloc(&r->c, 1, sizeof *m);
	*m = (struct macro){n->b, r->scope};
	struct value caller = {.kind = V_MACRO, .macro = m};
	print(r, jv_str(&r->c, jinja_call(r, n->a, &caller)));
}

static void
run_macro(struct run *r, const struct node *n)
{
	struct macro *m = jinja_alloc(&r->c, 1, sizeof *m);
	*m = (struct macro){n, r->scope};
	jinja_assign(r, n->v.s, (struct value){.kind = V_MACRO, .macro = m});
}

static enum flow
run_with(struct run *r, const struct node *n)
{
	struct scope *outer = r->scope;
	push_scope(r, outer);
	for (size_t i = 0; i < n->n; i++)
		run_set(r, n->kid[i]);
	enum flow flow = run_body(r, n->b);
	r->scope = outer;
	return flow;
}

static enum flow
run_statement(struct run *r, const struct node *n)
{
	r->c.line = n->line;
	jinja_step(&r->c, 1);
	switch (n->kind) {
	case N_TEXT:
		print(r, n->v.s);
		return FLOW_ON;
	case N_OUT:
		print(r, jv_str(&r->c, jinja_eval(r, n->a)));
		return FLOW_ON;
	case N_IF:
		return run_if(r, n);
	case N_FOR:
		return run_for(r, n);
	case N_SET:
		run_set(r, n);
		return FLOW_ON;
	case N_MACRO:
		run_macro(r, n);
		return FLOW_ON;
	case N_WITH:
		return run_with(r, n);
	case N_CALLER:
		run_caller(r, n);
		return FLOW_ON;
	case N_FILTERED:
		print(r, jv_str(&r->c, filtered(r, n)));
		return FLOW_ON;
	case N_BLOCK:
		return run_body(r, n->b);
	case N_BREAK:
		return FLOW_BREAK;
	default:
		return FLOW_CONTINUE;
	}
}

static enum flow
run_body(struct run *r, const struct node *n)
{
	enum flow flow = FLOW_ON;
	for (; n && flow == FLOW_ON; n = n->next)
		flow = run_statement(r, n);
	return flow;
}

struct value
jinja_call_macro(struct run *r, const struct macro *m, const struct args *a)
{
	struct scope *outer = r->scope;
	const struct node *def = m->def;
	if (a->n > def->n)
		jinja_fail(&r->c, "macro '%.*s' takes %zu arguments, not %zu", STR(def->v.s), def->n, a->n);
	push_scope(r, m->scope);
	for (size_t i = 0; i < def->n; i++) {
		const struct node *param = def->kid[i];
		const struct value *given = i < a->n ? &a->v[i] : NULL;
		for (size_t k = 0; !given && k < a->n_kw; k++)
			if (str_eq(a->kw[k].key.s, param->v.s))
				given = &a->kw[k].value;
		struct value v = given ? *given
			: param->a     ? jinja_eval(r, param->a)
				       : jv_undefined(param->v.s);
		jinja_assign(r, param->v.s, v);
	}
	for (size_t k = 0; k < a->n_kw; k++)
		if (str_is(a->kw[k].key.s, "caller"))
			jinja_assign(r, a->kw[k].key.s, a->kw[k].value);
	struct str text = capture(r, def->b);
	r->scope = outer;
	return jv_string(text);
}

/* ---- the interface ---- */

static time_t
now(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long t = epoch && *epoch ? strtoll(epoch, &end, 10) : 0;
	return epoch && *epoch && !*end ? (time_t)t : time(NULL);
}

static bool
valid_text(const char *text, size_t n)
{
	int32_t u;
	while (n) {
		utf8proc_ssize_t len =
			utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &u);
		if (len <= 0 || u == 0)
			return false;
		text += len;
		n -= (size_t)len;
	}
	return true;
}

/* longjmp comes back here, so what it must not lose belongs to the caller. */
static int
try_compile(struct jinja *t, struct str text)
{
	if (setjmp(t->c.failed))
		return -1;
	t->body = jinja_parse(&t->c, jinja_lex(&t->c, text));
	return 0;
}

struct jinja *
jinja_compile(const char *name, const char *text, size_t n, struct err *e)
{
	if (n > TEMPLATE_BYTES_MAX || !valid_text(text, n)) {
		err_set(e, ERR_CONFIG, "'%s' is not a template: %s", name,
			n > TEMPLATE_BYTES_MAX ? "it is larger than 1 MiB" : "it is not UTF-8 text");
		return NULL;
	}
	struct jinja *t = xcalloc(1, sizeof *t);
	t->name = xstrdup(name);
	t->now = now();
	t->c = (struct jinja_ctx){.limit = COMPILE_MEMORY_MAX, .steps = STEPS_MAX, .name = t->name,
		.code = ERR_CONFIG, .e = e};
	if (try_compile(t, (struct str){text, n}) < 0) {
		jinja_free(t);
		return NULL;
	}
	t->c.e = NULL;
	return t;
}

void
jinja_free(struct jinja *t)
{
	if (!t)
		return;
	jinja_release(&t->c);
	free(t->name);
	free(t);
}

static void
define(struct run *r, const struct jinja_var *vars, size_t n)
{
	push_scope(r, NULL);
	for (size_t i = 0; i < n; i++)
		if (vars[i].value)
			jinja_assign(r, str_lit(vars[i].name), jv_from_json(&r->c, vars[i].value));
}

static int
try_render(struct run *r, const struct jinja_var *vars, size_t n_vars)
{
	if (setjmp(r->c.failed))
		return -1;
	define(r, vars, n_vars);
	run_body(r, r->t->body);
	return 0;
}

int
jinja_render(
	const struct jinja *t, const struct jinja_var *vars, size_t n_vars, struct buf *out, struct err *e)
{
	size_t start = out->len;
	struct run r = {.t = t, .out = out, .out_start = start};
	r.c = (struct jinja_ctx){.limit = RENDER_MEMORY_MAX, .steps = STEPS_MAX, .name = t->name, .line = 1,
		.code = ERR_DATA, .e = e};
	int rc = try_render(&r, vars, n_vars);
	if (rc < 0)
		out->len = start;
	buf_append(out, "", 0);
	jinja_release(&r.c);
	return rc;
}
