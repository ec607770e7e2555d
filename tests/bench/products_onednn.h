/* oneDNN's product of matrices in bf16 or fp32, if its header (of version 2) was there when this was built; the Makefile links it
 * then. The right side is packed as oneDNN wants it before the clock starts. */
#ifndef HONE_BENCH_PRODUCTS_ONEDNN_H
#define HONE_BENCH_PRODUCTS_ONEDNN_H

#include <stdbool.h>
#include <stdlib.h>

#include "math/rows.h"

struct onednn;

#ifdef HAVE_ONEDNN

#include <oneapi/dnnl/dnnl.h>

struct onednn {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_t matmul;
	dnnl_memory_t a, b, packed, c;
};

static void
onednn_must(dnnl_status_t status)
{
	if (status != dnnl_success)
		abort();
}

static dnnl_memory_t
onednn_memory(struct onednn *d, const dnnl_memory_desc_t *desc, const void *data)
{
	dnnl_memory_t m;
	onednn_must(dnnl_memory_create(&m, desc, d->engine, data ? (void *)(uintptr_t)data : DNNL_MEMORY_ALLOCATE));
	return m;
}

static void
onednn_pack(struct onednn *d)
{
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t reorder;
	const dnnl_memory_desc_t *from, *to;
	dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, d->b}, {DNNL_ARG_TO, d->packed}};
	dnnl_memory_get_memory_desc(d->b, &from);
	dnnl_memory_get_memory_desc(d->packed, &to);
	onednn_must(dnnl_reorder_primitive_desc_create(&pd, from, d->engine, to, d->engine, NULL));
	onednn_must(dnnl_primitive_create(&reorder, pd));
	onednn_must(dnnl_primitive_execute(reorder, d->stream, 2, args));
	dnnl_stream_wait(d->stream);
	dnnl_primitive_destroy(reorder);
	dnnl_primitive_desc_destroy(pd);
}

/* C[M,N] = op(A) op(B), all of one type; ta: A is stored [K,M], tb: B is stored [N,K]. */
static struct onednn *
onednn_open(enum num type, const void *a, const void *b, const void *c, int M, int N, int K, bool ta, bool tb)
{
	struct onednn *d = calloc(1, sizeof *d);
	dnnl_memory_desc_t ma, mb, any, mc;
	dnnl_matmul_desc_t desc;
	dnnl_primitive_desc_t pd;
	const dnnl_data_type_t t = type == NUM_BF16 ? dnnl_bf16 : dnnl_f32;
	const dnnl_dims_t da = {M, K}, db = {K, N}, dc = {M, N};
	onednn_must(dnnl_engine_create(&d->engine, dnnl_cpu, 0));
	onednn_must(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags));
	dnnl_memory_desc_init_by_tag(&ma, 2, da, t, ta ? dnnl_ba : dnnl_ab);
	dnnl_memory_desc_init_by_tag(&mb, 2, db, t, tb ? dnnl_ba : dnnl_ab);
	dnnl_memory_desc_init_by_tag(&any, 2, db, t, dnnl_format_tag_any);
	dnnl_memory_desc_init_by_tag(&mc, 2, dc, t, dnnl_ab);
	onednn_must(dnnl_matmul_desc_init(&desc, &ma, &any, NULL, &mc));
	onednn_must(dnnl_primitive_desc_create(&pd, &desc, NULL, d->engine, NULL));
	onednn_must(dnnl_primitive_create(&d->matmul, pd));
	d->a = onednn_memory(d, &ma, a);
	d->b = onednn_memory(d, &mb, b);
	d->packed = onednn_memory(d, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL);
	d->c = onednn_memory(d, &mc, c);
	dnnl_primitive_desc_destroy(pd);
	onednn_pack(d);
	return d;
}

static void
onednn_run(const struct onednn *d)
{
	dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, d->a}, {DNNL_ARG_WEIGHTS, d->packed}, {DNNL_ARG_DST, d->c}};
	dnnl_primitive_execute(d->matmul, d->stream, 3, args);
	dnnl_stream_wait(d->stream);
}

static void
onednn_close(struct onednn *d)
{
	dnnl_primitive_destroy(d->matmul);
	dnnl_memory_destroy(d->a);
	dnnl_memory_destroy(d->b);
	dnnl_memory_destroy(d->packed);
	dnnl_memory_destroy(d->c);
	dnnl_stream_destroy(d->stream);
	dnnl_engine_destroy(d->engine);
	free(d);
}

#else

static struct onednn *
onednn_open(enum num type, const void *a, const void *b, const void *c, int M, int N, int K, bool ta, bool tb)
{
	(void)type, (void)a, (void)b, (void)c, (void)M, (void)N, (void)K, (void)ta, (void)tb;
	return NULL;
}

static void
onednn_run(const struct onednn *d)
{
	(void)d;
}

static void
onednn_close(struct onednn *d)
{
	(void)d;
}

#endif

#endif
