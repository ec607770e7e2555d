#!/usr/bin/env python3
"""Writes the cases of this folder: what transformers and PEFT compute for tiny random models of families and
of settings that ../shared/reference lacks.  Needs torch, transformers, peft, safetensors; no files, no network.
usage: make.py OUTDIR"""
import json, sys, shutil, torch, transformers, peft
from pathlib import Path
from safetensors.torch import save_file, load_file
from transformers import (AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, Gemma3TextConfig, GemmaConfig, LlamaConfig,
                          Phi3Config, SmolLM3Config)

OUT = Path(sys.argv[1])
V, LENGTHS, STEPS = 29, (6, 11, 19, 30), 6
base = dict(vocab_size=V, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=20, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
            initializer_range=0.2)
neox = {k: v for k, v in base.items() if k != "num_key_value_heads"}
scaled = lambda **kw: dict(rope_theta=100.0, **kw)
# The factors of longrope are by pairs of the rotary part: half of a head of 8 here, so 2.
longrope = dict(rope_type="longrope", rope_theta=100.0, partial_rotary_factor=0.5, short_factor=[1.0, 1.25],
                long_factor=[2.0, 7.5])

CASES = {
    "phi3": Phi3Config(**base, sliding_window=7, tie_word_embeddings=False,
                       rope_parameters=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.75)),
    "phi3-longrope": Phi3Config(**base, original_max_position_embeddings=16, rope_parameters=longrope, tie_word_embeddings=False),
    "llama-linear": LlamaConfig(**base, rope_parameters=scaled(rope_type="linear", factor=3.0)),
    "llama-dynamic": LlamaConfig(**{**base, "max_position_embeddings": 16}, rope_parameters=scaled(rope_type="dynamic", factor=2.0)),
    "llama-yarn": LlamaConfig(**base, rope_parameters=scaled(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)),
    "llama-yarn-mscale": LlamaConfig(**base, rope_parameters=scaled(
        rope_type="yarn", factor=8.0, original_max_position_embeddings=48, beta_fast=8.0, beta_slow=0.5, truncate=False, mscale=1.5,
        mscale_all_dim=0.5)),
    "neox-sequential": GPTNeoXConfig(**neox, use_parallel_residual=False, tie_word_embeddings=True, hidden_act="gelu_new",
                                     attention_dropout=0.0, hidden_dropout=0.0,
                                     rope_parameters=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.5)),
    "gpt2-bare": GPT2Config(vocab_size=V, n_embd=16, n_layer=2, n_head=2, n_inner=20, n_positions=32, initializer_range=0.2,
                            activation_function="relu", scale_attn_by_inverse_layer_idx=True, resid_pdrop=0, embd_pdrop=0,
                            attn_pdrop=0, bos_token_id=1, eos_token_id=2),
    "gemma3-scaled": Gemma3TextConfig(**base, head_dim=6, sliding_window=5, query_pre_attn_scalar=11, rope_parameters=dict(
        full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000.0),
        sliding_attention=dict(rope_type="default", rope_theta=50.0)), layer_types=["sliding_attention", "full_attention"]),
    "gemma": GemmaConfig(**base, head_dim=6, hidden_act="gelu_pytorch_tanh"),
    "smollm3": SmolLM3Config(**{**base, "num_hidden_layers": 3}, no_rope_layers=[1, 0, 1], tie_word_embeddings=True),
}
ADAPTED = ("phi3", "gpt2-bare", "neox-sequential")


def dump(o, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(o) + "\n")


def documents():
    g = torch.Generator().manual_seed(3)
    out = []
    for i, n in enumerate(LENGTHS):
        ids = torch.randint(3, V, (n,), generator=g).tolist()
        out.append(dict(input_ids=ids, labels=[-100] * (i + 1) + ids[i + 1:]))
    return out


def alone(model):
    """Each document as if it were the model's first: transformers keeps the frequencies of a longer one before it."""
    for m in model.modules():
        if hasattr(m, "original_inv_freq"):
            m.register_buffer("inv_freq", m.original_inv_freq.clone(), persistent=False)


def loss_of(model, docs):
    total, n = 0.0, 0
    for d in docs:
        alone(model)
        logits = model(input_ids=torch.tensor([d["input_ids"]])).logits[0, :-1].float()
        y = torch.tensor(d["labels"][1:])
        total = total + torch.nn.functional.cross_entropy(logits, y, ignore_index=-100, reduction="sum")
        n += int((y != -100).sum())
    return total / n, n


def train(model, docs):
    """Two documents a step, in order, over and over; constant rate, no decay, no clipping."""
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3, weight_decay=0.0)
    log = []
    for s in range(STEPS):
        step = [docs[(2 * s + i) % len(docs)] for i in range(2)]
        loss, n = loss_of(model, step)
        opt.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1e30)
        opt.step()
        log.append(dict(step=s + 1, loss=float(loss), grad_norm=float(norm), learning_rate=2e-3, targets=n))
    return log


def adapt(name, model, docs, d):
    targets = {"gpt2-bare": ["c_attn", "c_proj", "c_fc"],
               "neox-sequential": ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]}.get(name, "all-linear")
    torch.manual_seed(7)
    pm = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=6, lora_dropout=0.0, target_modules=targets))
    pm.train()
    pm.save_pretrained(d / "lora/adapter_init")
    dump(train(pm, docs), d / "lora/log.json")
    pm.save_pretrained(d / "lora/adapter_final")
    for a in ("adapter_init", "adapter_final"):
        (d / "lora" / a / "README.md").unlink(missing_ok=True)


def case(name, config):
    d = OUT / name
    shutil.rmtree(d, ignore_errors=True)
    torch.manual_seed(11)
    config._attn_implementation = "eager"
    fresh = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for p in fresh.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
    (fresh.transformer if name == "gpt2-bare" else fresh).save_pretrained(d / "base")
    load = lambda: AutoModelForCausalLM.from_pretrained(d / "base", attn_implementation="eager", dtype=torch.float32).train()
    docs = documents()
    dump(docs, d / "docs.json")
    m = load()
    loss, n = loss_of(m, docs)
    loss.backward()
    tensors = {"grad." + k: p.grad.clone().contiguous() for k, p in m.named_parameters()}
    for i, doc in enumerate(docs):
        alone(m)
        tensors[f"logits.{i}"] = m(input_ids=torch.tensor([doc["input_ids"]])).logits[0].detach().float().contiguous()
    save_file(tensors, d / "forward_backward.safetensors")
    dump(dict(docs=list(range(len(docs))), loss=float(loss), targets=n), d / "forward_backward.json")
    generated = {}
    for i, k in ((0, 5), (3, 20)):
        m = load().eval()
        ids = docs[i]["input_ids"][:k]
        generated[str(i)] = dict(prompt=ids, greedy=m.generate(torch.tensor([ids]), max_new_tokens=16 if name != "gpt2-bare" else 10,
            do_sample=False, eos_token_id=None, pad_token_id=0)[0].tolist())
        # The same without a cache: every step as a document of its own.
        whole = list(ids)
        for _ in range(len(generated[str(i)]["greedy"]) - k):
            alone(m)
            whole.append(int(m(input_ids=torch.tensor([whole]), use_cache=False).logits[0, -1].argmax()))
        generated[str(i)]["uncached"] = whole
    dump(generated, d / "generate.json")
    m = load()
    dump(train(m, docs), d / "full/log.json")
    if name in ADAPTED:
        adapt(name, load(), docs, d)


for name, config in CASES.items():
    try:
        case(name, config)
        print("ok", name, flush=True)
    except Exception as e:
        import traceback
        traceback.print_exc()
        print("FAILED", name, e, flush=True)
dump(dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__), OUT / "versions.json")
