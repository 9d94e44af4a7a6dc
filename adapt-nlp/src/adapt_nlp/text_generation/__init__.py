"""Text generation: causal language models on texts, instructions, prompts with completions, and conversations."""
