/* Inside the template interpreter; included by jinja*.c only.
 *
 *   text --jinja_lex--> tokens --jinja_parse--> tree of nodes --jinja_run--> text
 *
 * Everything a compilation or a rendering makes lives in the arena of its context and goes with it. That
 * is why an error may leave by longjmp from any depth: nothing needs to be released on the way. */
#ifndef HONE_TEXT_JINJA_INT_H
#define HONE_TEXT_JINJA_INT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "text/jinja.h"

/* ---- context: memory and errors ---- */

struct jinja_chunk;

struct jinja_ctx {
	struct jinja_chunk *chunks;
	size_t used, limit;    /* bytes of the arena */
	uint64_t steps;        /* work left before the template is called endless */
	const char *name;      /* of the template */
	int line;              /* of it, where we are */
	int code;              /* of errors: ERR_CONFIG while compiling, ERR_DATA while rendering */
	struct err *e;
	jmp_buf failed;
};

void *jinja_alloc(struct jinja_ctx *c, size_t n, size_t size);  /* zeroed */
void jinja_release(struct jinja_ctx *c);
void jinja_step(struct jinja_ctx *c, size_t n);                  /* counts n steps of work */
_Noreturn void jinja_fail(struct jinja_ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- strings ---- */

struct str {
	const char *p;  /* UTF-8, not NUL-terminated */
	size_t n;
};

/* Count the work of passing over a text once, and of holding each place of one against another. */
void jinja_step_text(struct jinja_ctx *c, struct str s);
void jinja_step_pairs(struct jinja_ctx *c, struct str a, struct str b);

/* For printf's "%.*s"; an error message shows at most so much of a string. */
#define STR(s) (int)((s).n < 80 ? (s).n : 80), (s).p

/* A string that is built in the arena. */
struct strbuf {
	struct jinja_ctx *c;
	char *p;
	size_t n, cap;
};

void strbuf_add(struct strbuf *b, const char *p, size_t n);
void strbuf_str(struct strbuf *b, struct str s);
void strbuf_lit(struct strbuf *b, const char *s);
struct str strbuf_get(const struct strbuf *b);

enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
struct str str_lit(const char *s);
bool str_is(struct str s, const char *lit);
bool str_eq(struct str a, struct str b);
int str_compare(struct str a, struct str b);                  /* by code point */
long str_find(struct str s, struct str what, size_t from);    /* byte offset, -1 when absent */
size_t str_length(struct str s);                              /* code points */
size_t str_offset(struct str s, size_t i);                    /* byte offset of code point i */
struct str str_strip(struct str s, const struct str *chars, int sides); /* chars NULL: Python's white space */
struct str str_replace(struct jinja_ctx *c, struct str s, struct str old, struct str new, int64_t count);
enum str_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL };
struct str str_case(struct jinja_ctx *c, struct str s, enum str_case how);

/* ---- values ---- */

enum value_kind {
	V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_STRING, V_LIST, V_DICT,
	V_NAMESPACE, V_LOOP, V_METHOD, V_MACRO, V_FUNCTION,
};

struct value {
	enum value_kind kind;
	union {
		bool b;
		int64_t i;
		double f;
		struct str s;               /* V_STRING; V_UNDEFINED: what was looked for */
		const struct list *list;
		const struct dict *dict;
		struct dict *ns;
		struct loop *loop;
		const struct method *method;
		const struct macro *macro;
		const char *function;       /* the name of a global function */
	};
};

enum { VALUE_DEPTH_MAX = 2100 };    /* a little more than jansson reads */

struct list {
	size_t n;
	int depth;
	bool tuple;  /* prints with round brackets; a list in everything else */
	struct value *v;
};

struct pair {
	struct value key, value;
};

struct dict {
	size_t n, cap;
	int depth;
	struct pair *p;
};

struct method {
	struct value self;
	struct str name;
};

struct macro {
	const struct node *def;
	struct scope *scope;
};

struct loop {
	const struct list *items;
	size_t i;
	int depth;
};

extern const struct value jv_none;
struct value jv_undefined(struct str name);
struct value jv_bool(bool b);
struct value jv_int(int64_t i);
struct value jv_string(struct str s);
struct value jv_list(struct jinja_ctx *c, const struct value *v, size_t n);  /* copies v */
struct value jv_tuple(struct jinja_ctx *c, const struct value *v, size_t n);
struct value jv_slice(
	struct jinja_ctx *c, struct value v, const int64_t *start, const int64_t *stop, int64_t step);
struct value jv_dict(struct dict *d);
void jv_dict_set(struct jinja_ctx *c, struct dict *d, struct value key, struct value value);
const struct value *jv_dict_get(
	struct jinja_ctx *c, const struct dict *d, struct value key); /* NULL when absent */
struct value jv_from_json(struct jinja_ctx *c, const json_t *o);      /* strings borrowed */

const char *jv_kind_name(struct value v);
bool jv_true(struct value v);
bool jv_is_number(struct value v);                   /* int or float or bool */
double jv_number(struct value v);
bool jv_is_int(struct value v, int64_t *i);          /* int or bool */
bool jv_equal(struct jinja_ctx *c, struct value a, struct value b);
int jv_compare(
	struct jinja_ctx *c, struct value a, struct value b); /* numbers, strings, lists; else an error */
bool jv_contains(struct jinja_ctx *c, struct value in, struct value what);
struct value jv_iterate(struct jinja_ctx *c, struct value v);         /* as a list */
struct str jv_str(struct jinja_ctx *c, struct value v);               /* str() of Python */

struct json_style {
	int indent;              /* -1: on one line */
	struct str item, key;    /* separators */
	bool sort, ascii;        /* ascii: others as \uXXXX */
};
struct str jv_json(struct jinja_ctx *c, struct value v, const struct json_style *style);

/* ---- the tree ---- */

enum node_kind {
	/* expressions */
	N_CONST,    /* v */
	N_NAME,     /* v */
	N_LIST,     /* [kid...] */
	N_TUPLE,    /* kid, ... */
	N_DICT,     /* {kid 0: kid 1, ...} */
	N_ATTR,     /* a.v */
	N_ITEM,     /* a[b] */
	N_SLICE,    /* a[kid 0:kid 1:kid 2], any of them NULL */
	N_CALL,     /* a(kid...) */
	N_KEYWORD,  /* v=a, among the kids of a call; a parameter of a macro: a its default or NULL */
	N_FILTER,   /* a|v(kid...) */
	N_TEST,     /* a is v(kid...) */
	N_NOT, N_NEG, N_POS,        /* a */
	N_AND, N_OR,                /* a, b */
	N_BINARY,   /* a op b */
	N_CONCAT,   /* kid ~ ... */
	N_COMPARE,  /* a, then kids: N_BINARY without a */
	N_COND,     /* a if b else c; c NULL: undefined */
	/* statements, chained by next */
	N_TEXT,     /* v */
	N_OUT,      /* {{ a }} */
	N_IF,       /* if a: b, else: c */
	N_FOR,      /* for kid... in a if d: b, else: c */
	N_SET,      /* kid... = a; without a: the text of b, through the filters of d */
	N_MACRO,    /* v(kid...): b */
	N_WITH,     /* kid... are N_SET; b */
	N_CALLER,   /* the call a, to which the N_MACRO b is "caller" */
	N_FILTERED, /* the text of b, through the filters of d */
	N_BLOCK,    /* b */
	N_BREAK, N_CONTINUE,
};

enum op {
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_FLOORDIV,
	OP_MOD,
	OP_POW,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN,
	OP_NOT_IN
};

struct node {
	enum node_kind kind;
	enum op op;
	int line;
	struct value v;
	struct node *a, *b, *c, *d;
	struct node **kid;
	size_t n, cap;
	struct node *next;
};

struct jinja {
	struct jinja_ctx c;
	char *name;
	struct node *body;
	time_t now;
};

enum token_kind { T_TEXT, T_OUT, T_OUT_END, T_TAG, T_TAG_END, T_NAME, T_STRING, T_INT, T_FLOAT, T_OP, T_END };

struct token {
	enum token_kind kind;
	struct str s;   /* T_STRING: unescaped; T_TEXT: stripped */
	int line;
};

/* The tokens of a template, ending with T_END. */
struct token *jinja_lex(struct jinja_ctx *c, struct str text);

/* Parsing state, shared by statements (jinja_parse.c) and expressions (jinja_expr.c); jinja_parser.c is common to both. */
struct parser {
	struct jinja_ctx *c;
	const struct token *t;
	int depth;
	bool in_loop;
};

struct node *jinja_parse(struct jinja_ctx *c, const struct token *t);
struct node *jinja_node(struct parser *p, enum node_kind kind);
void jinja_kid(struct parser *p, struct node *n, struct node *kid);
void jinja_deeper(struct parser *p); /* guards the parser's recursion; p->depth-- when back */
bool jinja_at_op(const struct parser *p, const char *op);
bool jinja_at_name(const struct parser *p, const char *name);
bool jinja_take_op(struct parser *p, const char *op);
bool jinja_take_name(struct parser *p, const char *name);
void jinja_want_op(struct parser *p, const char *op);
struct str jinja_want_ident(struct parser *p);
_Noreturn void jinja_unexpected(struct parser *p, const char *wanted);
struct node *jinja_parse_expr(struct parser *p);        /* with inline if */
struct node *jinja_parse_or(struct parser *p);          /* without */
struct node *jinja_parse_tuple(struct parser *p);       /* expr, or a list of them without brackets */
struct node *jinja_parse_filters(struct parser *p, struct node *subject);
struct node *jinja_parse_filter(struct parser *p, struct node *subject);  /* one, behind its "|" */

/* ---- rendering ---- */

struct variable {
	struct str name;
	struct value value;
	struct variable *next;
};

struct scope {
	struct variable *vars;
	struct scope *up;
};

struct run {
	struct jinja_ctx c;
	const struct jinja *t;
	struct buf *out;
	struct scope *scope;
	size_t out_start;
	int depth, loop_depth;
};

struct args {
	struct value *v;       /* [n] */
	size_t n;
	struct pair *kw;       /* [n_kw] */
	size_t n_kw;
};

/* Argument i, or the one named so; NULL when not given. */
const struct value *jinja_arg(const struct args *a, size_t i, const char *name);

/* The same, of the type that a method or function wants. */
struct str jinja_string_arg(struct run *r, const struct args *a, size_t i, const char *name, struct str method);
int64_t jinja_int_arg(struct run *r, const struct args *a, size_t i, const char *name, int64_t otherwise);
bool jinja_flag_arg(const struct args *a, size_t i, const char *name);

struct value jinja_eval(struct run *r, const struct node *n);
struct value jinja_call(struct run *r, const struct node *call, const struct value *caller); /* NULL: no call block */
struct value jinja_add(struct run *r, struct value a, struct value b);
struct value jinja_attr(struct run *r, struct value v, struct str name);
struct value jinja_item(struct run *r, struct value v, struct value key);
struct value jinja_call_macro(struct run *r, const struct macro *m, const struct args *a);
struct value jinja_call_function(struct run *r, const char *name, const struct args *a);
const char *jinja_function(struct str name);            /* a global function's name, or NULL */
bool jinja_has_method(struct value v, struct str name);
struct value jinja_call_method(struct run *r, const struct method *m, const struct args *a);
struct value jinja_filter(struct run *r, struct str name, struct value v, const struct args *a);
bool jinja_list_filter(struct run *r, struct str name, struct value v, const struct args *a, struct value *out);
bool jinja_is_case(struct str s, bool upper);           /* isupper(), islower() of Python */
bool jinja_test(struct run *r, struct str name, struct value v, const struct args *a);
void jinja_assign(struct run *r, struct str name, struct value v);

#endif
