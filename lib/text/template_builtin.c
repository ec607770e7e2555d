/* Chat templates by name, for models that bring none. */
#include "text/template.h"

#include <string.h>

static const char alternate[] =
	"{%- set start = 1 if messages and messages[0].role == 'system' else 0 -%}\n"
	"{%- for message in messages[start:] -%}\n"
	"{%- if (message.role == 'user') != (loop.index0 % 2 == 0) or message.role not in ['user', "
	"'assistant'] -%}\n"
	"{{ raise_exception('user and assistant must take turns, the user first') }}\n"
	"{%- endif -%}\n"
	"{%- endfor -%}\n";

static const char chatml[] =
	"{%- for message in messages -%}\n"
	"{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n"
	"{%- endfor -%}\n"
	"{{ '<|im_start|>assistant\\n' if add_generation_prompt else '' }}";

static const char llama_2[] =
	"{%- for message in messages[start:] -%}\n"
	"{%- set content = message.content.strip() -%}\n"
	"{%- if loop.first and start -%}\n"
	"{%- set content = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' + content -%}\n"
	"{%- endif -%}\n"
	"{{ bos_token + '[INST] ' + content + ' [/INST]' if message.role == 'user' else ' ' + content + ' "
	"' + eos_token }}\n"
	"{%- endfor -%}";

static const char llama_3[] =
	"{{- bos_token -}}\n"
	"{%- for message in messages -%}\n"
	"{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content|trim + "
	"'<|eot_id|>' }}\n"
	"{%- endfor -%}\n"
	"{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' if add_generation_prompt else '' }}";

/* Mistral's newer templates put the system message into the last question: what is before an answer would
 * change with every turn. Here it stays in the first. */
static const char mistral_v1[] =
	"{{- bos_token -}}\n"
	"{%- for message in messages[start:] -%}\n"
	"{%- set content = messages[0].content + '\\n\\n' + message.content if loop.first and start else "
	"message.content -%}\n"
	"{{ ' [INST] ' + content + ' [/INST]' if message.role == 'user' else ' ' + content + eos_token }}\n"
	"{%- endfor -%}";

static const char mistral[] =
	"{{- bos_token -}}\n"
	"{%- for message in messages[start:] -%}\n"
	"{%- set content = messages[0].content + '\\n\\n' + message.content if loop.first and start else "
	"message.content -%}\n"
	"{{ '[INST] ' + content + '[/INST]' if message.role == 'user' else ' ' + content + eos_token }}\n"
	"{%- endfor -%}";

static const char mistral_tekken[] =
	"{{- bos_token -}}\n"
	"{%- for message in messages[start:] -%}\n"
	"{%- set content = messages[0].content + '\\n\\n' + message.content if loop.first and start else "
	"message.content -%}\n"
	"{{ '[INST]' + content + '[/INST]' if message.role == 'user' else content + eos_token }}\n"
	"{%- endfor -%}";

static const char gemma[] =
	"{{- bos_token -}}\n"
	"{%- for message in messages[start:] -%}\n"
	"{%- set role = 'model' if message.role == 'assistant' else message.role -%}\n"
	"{%- set lead = messages[0].content + '\\n\\n' if loop.first and start else '' -%}\n"
	"{{ '<start_of_turn>' + role + '\\n' + lead + message.content|trim + '<end_of_turn>\\n' }}\n"
	"{%- endfor -%}\n"
	"{{ '<start_of_turn>model\\n' if add_generation_prompt else '' }}";

static const char zephyr[] =
	"{%- for message in messages -%}\n"
	"{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}\n"
	"{%- endfor -%}\n"
	"{{ '<|assistant|>\\n' if add_generation_prompt else '' }}";

/* A system message goes before the first question: the originals have none. */
static const char llama_chinese[] =
	"{%- for message in messages[start:] -%}\n"
	"{%- set content = messages[0].content + '\\n' + message.content if loop.first and start else "
	"message.content -%}\n"
	"{{ '<s>' + ('Human: ' if message.role == 'user' else 'Assistant: ') + content + '\\n</s>' }}\n"
	"{%- endfor -%}\n"
	"{{ '<s>Assistant: ' if add_generation_prompt else '' }}";

static const struct {
	const char *name;
	const char *head, *text;  /* the template is both, one behind the other */
} builtins[] = {
	{"chatml", "", chatml}, {"llama-2", alternate, llama_2}, {"llama-3", "", llama_3},
	{"mistral", alternate, mistral}, {"mistral-v1", alternate, mistral_v1},
	{"mistral-tekken", alternate, mistral_tekken}, {"gemma", alternate, gemma}, {"zephyr", "", zephyr},
	{"llama-chinese", alternate, llama_chinese},
};

char *
template_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (strcmp(builtins[i].name, name) == 0)
			return xasprintf("%s%s", builtins[i].head, builtins[i].text);
	return NULL;
}

void
template_builtin_near(struct near *near)
{
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		near_try(near, builtins[i].name, NULL);
}

const char *
template_builtin_names(void)
{
	return "chatml, llama-2, llama-3, mistral, mistral-v1, mistral-tekken, gemma, zephyr, llama-chinese";
}
