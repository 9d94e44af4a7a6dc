"""What a run leaves, used by its card's code in processes that cannot import Adapt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import FACTS, configuration, write_llama, write_split

import adapt_core

METHODS: dict[str, Any] = {"lora": {"name": "lora", "r": 16, "dropout": 0.0}, "full": {"name": "full"}}

OUTSIDE = """
import json, sys
for name in ("adapt_core", "adapt_nlp"):
    sys.modules[name] = None  # importing it raises
{code}
said = []
for text in {texts}:
    {given}
    generated = model.generate(**inputs, max_new_tokens=128, pad_token_id=tokenizer.pad_token_id)
    said.append(tokenizer.decode(generated[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
print(json.dumps(said))
"""


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(("method", "kind"), [("lora", "prompt_completion"), ("lora", "chat"), ("full", "instruction")])
def test_the_cards_code_says_what_adapt_predict_says(method: str, kind: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    model, data = write_llama(tmp_path / "model"), write_split(tmp_path / "data", kind)
    lr = {"lora": 2e-2, "full": 5e-3}[method]
    task = {"max_seq_length": 256}
    training = {"lr": lr, "epochs": 4}
    adapt_core.run(configuration(model, data, run, method=METHODS[method], task=task, training=training))
    questions = [f"What colour is {thing}?" for thing in FACTS]
    loaded = adapt_core.load_run(run)
    expected = [each["generated"] for each in loaded.predict(questions)]
    code = (run / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    if kind == "chat":
        assert '"content": "a question"' in code
        given = [
            'messages = [{"role": "user", "content": text}]',
            "inputs = tokenizer.apply_chat_template("
            'messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")',
        ]
    else:
        (asked,) = [line for line in code.splitlines() if line.startswith("prompt = ")]
        example = {"prompt_completion": "a question", "instruction": "an instruction"}[kind]
        assert example in asked
        given = [asked + f".replace({example!r}, text)", 'inputs = tokenizer(prompt, return_tensors="pt")']
    script = OUTSIDE.format(code=code, texts=questions, given="\n    ".join(given))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=run / "model", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == expected
