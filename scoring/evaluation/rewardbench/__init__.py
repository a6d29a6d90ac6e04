"""CMI-RewardBench (Ma et al. 2026, arXiv 2603.00610): its rows, its tables, and what others have published.

No audio, model or Django here: `scoring.evaluation` hears the clips, this package says what the rewards are worth.
"""
