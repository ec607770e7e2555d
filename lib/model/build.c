#include "model/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { PARAMS_PER_LAYER = 2 * (MAX_LINEARS + 6), PARAMS_OUTSIDE = 5 };  /* with room for model_untie */

static struct param *
add_param(struct model *m, int layer, char *name, int rows, int columns, enum init init)
{
	struct param *p = &m->param[m->n_params++];
	*p = (struct param){.name = name, .layer = layer, .init = init, .rank = columns ? 2 : 1, .rows = rows,
		.columns = columns ? columns : 1, .stored = ST_F32};
	return p;
}

/* "model.layers.0.mlp.up_proj"; with layer -1 "model.norm". New. */
static char *
module_name(const struct family_names *names, int layer, const char *module)
{
	if (layer < 0)
		return xasprintf("%s.%s", names->decoder, module);
	return xasprintf("%s.%s.%d.%s", names->decoder, names->layers, layer, module);
}

static struct norm_params
add_norm(struct model *m, int layer, const char *module, int n)
{
	const struct family *f = m->config.family;
	struct norm_params p = {0};
	if (!module)
		return p;
	char *name = module_name(f->names, layer, module);
	int at = layer < 0 ? m->config.L : layer;
	p.w = add_param(m, at, xasprintf("%s.weight", name), n, 0, f->norm == NORM_RMS_OFFSET ? INIT_ZERO : INIT_ONE);
	if (f->norm == NORM_LAYER)
		p.b = add_param(m, at, xasprintf("%s.bias", name), n, 0, INIT_ZERO);
	free(name);
	return p;
}

static struct linear *
add_linear(struct model *m, struct layer *layer, const char *module, int in, int out, bool bias, enum init init)
{
	const struct family *f = m->config.family;
	struct linear *l = &layer->linear[layer->n_linears++];
	*l = (struct linear){.name = module_name(f->names, layer->index, module), .in = in, .out = out};
	l->w = add_param(m, layer->index, xasprintf("%s.weight", l->name), f->conv1d ? in : out, f->conv1d ? out : in, init);
	l->w->transposed = f->conv1d;
	l->b = bias ? add_param(m, layer->index, xasprintf("%s.bias", l->name), out, 0, INIT_ZERO) : NULL;
	return l;
}

/* Matrices from C to out[n] rows each, or one to all of these when they are fused: then there is one name only. */
static struct projection
add_projection(struct model *m, struct layer *l, const char *const *module, const int *out, int n, bool bias)
{
	struct projection p = {.first = &l->linear[l->n_linears]};
	int fused = 0;
	for (int i = 0; i < n; i++)
		fused += out[i];
	p.n = n > 1 && !module[1] ? 1 : n;
	for (int i = 0; i < p.n; i++)
		add_linear(m, l, module[i], m->config.C, p.n == n ? out[i] : fused, bias, INIT_NORMAL);
	return p;
}

static void
add_layer(struct model *m, int i)
{
	const struct config *c = &m->config;
	const struct family_names *names = c->family->names;
	struct layer *l = &m->layer[i];
	const int qkv[] = {c->H * c->D, c->K * c->D, c->K * c->D}, up[] = {c->F, c->F};
	l->index = i;
	l->qkv = add_projection(m, l, names->qkv, qkv, 3, c->qkv_bias);
	l->o = (struct projection){add_linear(m, l, names->o, c->H * c->D, c->C, c->o_bias, INIT_RESIDUAL), .n = 1};
	l->q_norm = add_norm(m, i, names->q_norm, c->D);
	l->k_norm = add_norm(m, i, names->k_norm, c->D);
	l->up = add_projection(m, l, names->up, up, c->family->gated ? 2 : 1, c->mlp_bias);
	l->down = (struct projection){add_linear(m, l, names->down, c->F, c->C, c->mlp_bias, INIT_RESIDUAL), .n = 1};
	l->attn_norm = add_norm(m, i, names->attn_norm, c->C);
	l->attn_post_norm = add_norm(m, i, names->attn_post_norm, c->C);
	l->mlp_norm = add_norm(m, i, names->mlp_norm, c->C);
	l->mlp_post_norm = add_norm(m, i, names->mlp_post_norm, c->C);
}

/* A table before the layers. */
static struct param *
add_table(struct model *m, struct linear *l, const char *module, int rows)
{
	*l = (struct linear){.name = module_name(m->config.family->names, -1, module), .in = rows, .out = m->config.C};
	l->w = add_param(m, -1, xasprintf("%s.weight", l->name), rows, m->config.C, INIT_NORMAL);
	return l->w;
}

void
model_build(struct model *m)
{
	const struct config *c = &m->config;
	const struct family_names *names = c->family->names;
	m->param = xcalloc((size_t)c->L * PARAMS_PER_LAYER + PARAMS_OUTSIDE, sizeof *m->param);
	m->layer = xcalloc((size_t)c->L, sizeof *m->layer);
	m->embed = add_table(m, &m->embed_table, names->embed, c->V);
	m->positions = names->positions ? add_table(m, &m->position_table, names->positions, c->max_position) : NULL;
	for (int i = 0; i < c->L; i++)
		add_layer(m, i);
	m->norm = add_norm(m, -1, names->final_norm, c->C);
	m->head = (struct linear){.name = xstrdup(names->head), .in = c->C, .out = c->V, .w = m->embed};
	if (!c->tied)
		m->head.w = add_param(m, c->L, xasprintf("%s.weight", names->head), c->V, c->C, INIT_NORMAL);
	m->to_logits = (struct projection){.first = &m->head, .n = 1};
}

void
model_untie(struct model *m)
{
	struct param *p = &m->param[m->n_params++];
	*p = *m->embed;
	p->name = xasprintf("%s.weight", m->head.name);
	p->layer = m->config.L;
	m->head.w = p;
}
