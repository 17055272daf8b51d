"""Texts to numbers, as in training."""

import torch


def counted(text, vocabulary):
    """Return how often each known word is in a text."""
    counts = torch.zeros(len(vocabulary))
    for word in text.lower().split():
        if word in vocabulary:
            counts[vocabulary[word]] += 1
    return counts
