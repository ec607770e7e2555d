#!/usr/bin/env python3
"""Loads adapters that hone-train wrote into PEFT and holds their logits against hone's own.
usage: load.py DOCS.json BASES DIR...
DIR holds base.txt (the name of a model in BASES), adapter/, and logits.safetensors as tests/helpers/adapterref writes
it with that adapter. Exits 1 when a relative error is above 1e-5, or PEFT finds a tensor missing or left over."""
import json
import sys
import warnings
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

docs, bases = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
bad = 0
for d in map(Path, sys.argv[3:]):
    base = bases / (d / "base.txt").read_text().strip()
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager", dtype=torch.float32)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(model, d / "adapter").eval()
    ours, worst = load_file(d / "logits.safetensors"), 0.0
    with torch.no_grad():
        for i in range(2):
            theirs = model(input_ids=torch.tensor([docs[i]["input_ids"]])).logits[0]
            worst = max(worst, float((ours[f"logits.{i}"] - theirs).norm() / theirs.norm()))
    keys = set(peft.get_peft_model_state_dict(model, save_embedding_layers=False))
    written = set(load_file(d / "adapter" / "adapter_model.safetensors"))
    odd = sorted(keys ^ written)
    missing = [str(w.message)[:200] for w in told if "missing" in str(w.message)]
    bad += worst > 1e-5 or bool(odd) or bool(missing)
    print(f"{d.name}: {worst:.1e}", *odd, *missing)
sys.exit(bad > 0)
