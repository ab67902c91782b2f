"""The deep-learning course's jazz exercise: its functions (`exercise`), its models (`models`) and a run of it all."""

from .exercise import (
    accompaniment,
    choose_pitch,
    generate_music,
    load_music_utils,
    mid2wav,
    originals,
    play,
    window_starts,
    windows,
)
from .models import (
    InferenceModel,
    TrainingModel,
    djmodel,
    music_inference_model,
    predict_and_sample,
    shared_layers,
)

__all__ = [
    "InferenceModel",
    "TrainingModel",
    "accompaniment",
    "choose_pitch",
    "djmodel",
    "generate_music",
    "load_music_utils",
    "mid2wav",
    "music_inference_model",
    "originals",
    "play",
    "predict_and_sample",
    "shared_layers",
    "window_starts",
    "windows",
]
