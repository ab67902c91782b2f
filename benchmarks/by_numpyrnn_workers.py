"""The works by this library with two workers: threads that each take half of a batch's sequences."""

from by_numpyrnn import model_of
from works import ADAM_RATE, EPSILON

from numpyrnn.batches import Batch
from numpyrnn.optim import Adam
from numpyrnn.workers import Workers


def train(work):
    model = model_of(work)
    initial, workers, batches = model.params.flat.copy(), Workers(model, 2), [Batch(*batch) for batch in work.batches]

    def run():
        model.params.flat[...] = initial
        adam, losses = Adam(ADAM_RATE, epsilon=EPSILON), []
        for batch in batches * work.rounds:
            losses.append(workers(batch)[0])
            adam.update(model.params.flat, workers.grads.flat)
        return {"losses": losses}

    return run


TABLE = {"W2": train, "W3": train, "W7": train}
