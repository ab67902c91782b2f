"""The deep-learning course's jazz exercise: functions in `exercise`, models in `models`, a whole run in `replay`."""

from .exercise import generate_music, load_music_utils, mid2wav, originals, window_starts, windows
from .models import djmodel, music_inference_model, predict_and_sample, shared_layers

__all__ = ["djmodel", "generate_music", "load_music_utils", "mid2wav", "music_inference_model", "originals"]
__all__ += ["predict_and_sample", "shared_layers", "window_starts", "windows"]
