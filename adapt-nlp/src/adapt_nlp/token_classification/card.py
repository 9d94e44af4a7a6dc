"""The README of a saved tagger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt_core.plan.run_plan import RunPlan
from adapt_nlp.card import labelled_card, trained_on
from adapt_nlp.token_classification.words import WORD

USE = '''\

text = "Ada Lovelace was born in London."
word = r"""{word}"""
words = re.findall(word, text)  # or your own, as a list
sentence = " ".join(words)
encoded = tokenizer(sentence, truncation=True, return_offsets_mapping=True, return_tensors="pt")
starts = [sum(map(len, words[:n])) + n for n in range(len(words))]
first_tokens = {{}}  # of each word
for token, (start, end) in enumerate(encoded.pop("offset_mapping")[0].tolist()):
    start += len(sentence[start:end]) - len(sentence[start:end].lstrip())
    if start < end:
        number = sum(each <= start for each in starts) - 1
        first_tokens.setdefault(number, token)
tags = model(**encoded).logits[0].argmax(-1)
for number, token in first_tokens.items():
    print(words[number], model.base_model.config.id2label[int(tags[token])])
'''


def card(plan: RunPlan, info: Mapping[str, Any], folder: Path) -> str:
    """Markdown with code that loads the folder and tags the words of a text."""
    return labelled_card(
        plan,
        info,
        folder,
        auto_class="AutoModelForTokenClassification",
        use=USE.format(word=WORD),
        pipeline="token-classification",
        called="A tagger of words",
        about=f"on {trained_on(info, 'sentences')} with {len(info['label_names'])} tags:",
        imports=("re",),
    )
