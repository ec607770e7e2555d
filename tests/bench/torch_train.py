#!/usr/bin/env python3
"""The same training steps in PyTorch, transformers and PEFT, for docs/performance.md: a random model of the given
shape, BATCH documents of LENGTH tokens, all of them targets, AdamW. Prints one JSON line.

  taskset -c 0,1 env OMP_NUM_THREADS=2 python3 torch_train.py 135m lora bf16
"""
import argparse
import json
import resource
import statistics
import time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

SHAPES = {
    "135m": lambda: LlamaConfig(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                                intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True,
                                max_position_embeddings=8192, rope_theta=100000.0),
    "0.5b": lambda: Qwen2Config(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
                                intermediate_size=4864, vocab_size=151936, tie_word_embeddings=True,
                                max_position_embeddings=32768, rope_theta=1000000.0),
}

parser = argparse.ArgumentParser()
parser.add_argument("shape", choices=SHAPES)
parser.add_argument("method", choices=["lora", "full"])
parser.add_argument("dtype", choices=["bf16", "fp32"])
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--length", type=int, default=512)
parser.add_argument("--targets", type=int, default=0, help="only the last N tokens of each document (0: all)")
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--steps", type=int, default=5)
args = parser.parse_args()

torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(SHAPES[args.shape](), attn_implementation="sdpa")
if args.method == "lora":
    from peft import LoraConfig, get_peft_model
    if args.dtype == "bf16":
        model = model.to(torch.bfloat16)
    model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=16, target_modules="all-linear"))
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4)
ids = torch.randint(0, 49152, (args.batch, args.length))
labels = ids.clone()
if args.targets:
    labels[:, :-args.targets] = -100

seconds = []
for _ in range(args.steps + 2):
    start = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
        loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(time.perf_counter() - start)

step = statistics.median(seconds[2:])
print(json.dumps({"what": "torch", "shape": args.shape, "method": args.method, "dtype": args.dtype,
                  "threads": torch.get_num_threads(), "tokens_per_second": round(args.batch * args.length / step, 1),
                  "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
