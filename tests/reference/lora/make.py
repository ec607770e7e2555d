#!/usr/bin/env python3
"""Makes the cases of cases.tar.gz: what PEFT computes for kinds of adapters that tiny random models show well.
usage: make.py DIR && tar czf cases.tar.gz --sort=name --mtime=@0 --owner=0 --group=0 -C DIR base case docs.json
(torch 2.11, transformers 5.17, peft 0.21, safetensors 0.8)

docs.json              examples, `input_ids` and `labels` (-100: no target)
base/NAME/             tiny models, fp32
case/NAME/             base.txt: which of them; adapter_init/: where training starts; log.json: every step;
                       adapter_final.safetensors: the adapter's tensors afterwards; logits.safetensors: of the first
                       example, with these, in evaluation mode
"""
import json
import shutil
import sys
import warnings
from pathlib import Path
import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig, Qwen2Config

warnings.filterwarnings("ignore")
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(4)
OUT = Path(sys.argv[1])
V, STEPS, BATCH, RATE, DECAY, WARMUP = 48, 10, 4, 1e-2, 0.1, 2

size = dict(vocab_size=V, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=24, max_position_embeddings=64, initializer_range=0.25, bos_token_id=1, eos_token_id=2)
BASES = {
    "llama": LlamaConfig(**size, tie_word_embeddings=False),
    "llama-tied": LlamaConfig(**size, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**size, tie_word_embeddings=True, use_sliding_window=False),
    "gpt2": GPT2Config(vocab_size=V, n_positions=64, n_embd=16, n_layer=2, n_head=4, initializer_range=0.25,
                       resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=1, eos_token_id=2),
    "gemma3": Gemma3TextConfig(**size, head_dim=8, sliding_window=8, query_pre_attn_scalar=8, tie_word_embeddings=True,
                               layer_types=["sliding_attention", "full_attention"], pad_token_id=0),
}
GPT2 = ["c_attn", "c_proj", "c_fc"]
QV = ["q_proj", "v_proj"]
CASES = {
    "embed": ("llama", dict(target_modules=["embed_tokens", "lm_head"] + QV)),
    "embed-tied": ("llama-tied", dict(target_modules=["embed_tokens", "q_proj"])),
    "head-tied": ("llama-tied", dict(target_modules=["lm_head", "down_proj"])),
    "save-embed-tied": ("llama-tied", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "save-head-tied": ("llama-tied", dict(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "save-both-tied": ("llama-tied", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "save-norm": ("llama", dict(target_modules=["q_proj"], modules_to_save=["norm"])),
    "dora": ("llama", dict(target_modules="all-linear", use_dora=True)),
    "dora-embed": ("llama", dict(target_modules=["embed_tokens", "lm_head", "o_proj"], use_dora=True)),
    "dora-bias": ("qwen2", dict(target_modules="all-linear", use_dora=True, use_rslora=True, bias="all")),
    "bias-all": ("qwen2", dict(target_modules=["q_proj"], bias="all")),
    "bias-lora-only": ("qwen2", dict(target_modules=["q_proj", "k_proj", "o_proj"], bias="lora_only")),
    "patterns": ("llama", dict(target_modules="all-linear",
                               rank_pattern={"q_proj": 4, "layers.1.mlp.down_proj": 3,
                                             r"model\.layers\.0.*up_proj": 1},
                               alpha_pattern={"v_proj": 32, ".*gate_proj": 1})),
    "layers": ("llama", dict(target_modules=["q_proj", "o_proj", "up_proj"], layers_to_transform=[1], exclude_modules=["o_proj"])),
    "regex": ("llama", dict(target_modules=r".*\.\d\.(self_attn\.[qk]_proj|mlp\.down_proj)", exclude_modules=r".*\.0\..*k_proj")),
    "gpt2-dora": ("gpt2", dict(target_modules=GPT2, use_dora=True, fan_in_fan_out=True)),
    "gpt2-embed": ("gpt2", dict(target_modules=["wte", "wpe", "c_attn"], fan_in_fan_out=True)),
    "gpt2-bias": ("gpt2", dict(target_modules=GPT2, bias="all", fan_in_fan_out=True)),
    "gpt2-head": ("gpt2", dict(target_modules=["c_attn", "lm_head"], fan_in_fan_out=True)),
    "gemma3-embed": ("gemma3", dict(target_modules=["embed_tokens", "q_proj"])),
}


def make_docs():
    g = torch.Generator().manual_seed(5)
    docs = []
    for i in range(12):
        n = int(torch.randint(5, 14, (1,), generator=g))
        ids = torch.randint(3, V, (n,), generator=g).tolist()
        prompt = int(torch.randint(0, n - 2, (1,), generator=g))
        docs.append(dict(input_ids=ids, labels=[-100] * prompt + ids[prompt:]))
    return docs


def mean_loss(model, docs):
    """Sum over all targets of the examples, divided by their number."""
    total, n = 0.0, 0
    for d in docs:
        logits = model(input_ids=torch.tensor([d["input_ids"]])).logits[0, :-1].float()
        y = torch.tensor(d["labels"][1:])
        total = total + torch.nn.functional.cross_entropy(logits, y, ignore_index=-100, reduction="sum")
        n += int((y != -100).sum())
    return total / n, n


def decays(name):
    return not (name.endswith("bias") or "norm" in name.lower() or "ln_" in name)


def train(model, docs):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [dict(params=[p for n, p in named if decays(n)], weight_decay=DECAY),
              dict(params=[p for n, p in named if not decays(n)], weight_decay=0.0)]
    opt = torch.optim.AdamW(groups, lr=RATE)
    sched = transformers.get_scheduler("cosine", opt, num_warmup_steps=WARMUP, num_training_steps=STEPS)
    log = []
    for s in range(STEPS):
        batch = [docs[(s * BATCH + i) % len(docs)] for i in range(BATCH)]
        loss, n = mean_loss(model, batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
        log.append(dict(step=s + 1, loss=float(loss), targets=n, grad_norm=float(norm), learning_rate=sched.get_last_lr()[0]))
        opt.step()
        sched.step()
        opt.zero_grad()
    return log


def logits_of(model, docs):
    model.eval()
    with torch.no_grad():
        return {"logits.0": model(input_ids=torch.tensor([docs[0]["input_ids"]])).logits[0].contiguous()}


def load(base):
    return AutoModelForCausalLM.from_pretrained(OUT / "base" / base, attn_implementation="eager", dtype=torch.float32)


def save(model, to, embeddings):
    """The adapter's two files; `embeddings`: also the tables of adapted embeddings, which PEFT puts in by default."""
    model.save_pretrained(to, save_embedding_layers=embeddings)
    (to / "README.md").unlink(missing_ok=True)


def make_case(name, base, kw, docs):
    d = OUT / "case" / name
    d.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(11)
    model = peft.get_peft_model(load(base), peft.LoraConfig(task_type="CAUSAL_LM", **{**dict(r=2, lora_alpha=6, lora_dropout=0.0), **kw}))
    model.train()
    (d / "base.txt").write_text(base + "\n")
    save(model, d / "adapter_init", "auto")
    log = train(model, docs)
    (d / "log.json").write_text("[" + ",\n ".join(json.dumps(e) for e in log) + "]\n")
    save(model, d / "adapter_final", False)
    shutil.copy(d / "adapter_final/adapter_model.safetensors", d / "adapter_final.safetensors")
    got = logits_of(model, docs)
    save_file(got, d / "logits.safetensors")
    again = logits_of(peft.PeftModel.from_pretrained(load(base), d / "adapter_final"), docs)
    shutil.rmtree(d / "adapter_final")
    back = max(float((got[k] - again[k]).abs().max()) for k in got)
    print(f"{name}: loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, read back within {back:.1e}")


if __name__ == "__main__":
    print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
    docs = make_docs()
    (OUT / "base").mkdir(parents=True, exist_ok=True)
    (OUT / "docs.json").write_text("[" + ",\n ".join(json.dumps(d) for d in docs) + "]\n")
    for i, (name, config) in enumerate(BASES.items()):
        torch.manual_seed(3 + i)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim == 1:
                    p.add_(torch.randn_like(p) * 0.2)
        model.save_pretrained(OUT / "base" / name)
    for name, (base, kw) in CASES.items():
        make_case(name, base, kw, docs)
