"""The methods that Adapt itself offers. Each is one folder: options without torch, and the method with it."""
